package digest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dateline/internal/email"
	"dateline/internal/news"
)

// When an edition is paused (reliability.md 3b and 4): the shares of a provider's mails
// at which its filters begin to count against the sender, and how many there have to be
// at least, so that one address in a small edition stops nobody.
const (
	complaintShare = 0.001 // of the mails it took
	bounceShare    = 0.02  // of the mails it took or refused
	contentShare   = 0.03
	leastBounces   = 3
	leastContent   = 3
	// While mails still wait, a share near the limit is believed from so many answers on:
	// of the first hundred three may be chance. bounceShareSure is believed at once.
	bounceAnswers   = 500
	bounceShareSure = 0.10
	// A single complaint counts where it is one of a thousand; else there are two.
	complaintAlone = 1000
)

// verdict is why an edition's mails to a provider shall wait for an editor.
type verdict struct {
	provider string // "": all
	reason   news.PauseReason
	detail   string
}

// judgeEdition finds what an edition has to be paused for.
func judgeEdition(a *news.EditionAccount) []verdict {
	var out []verdict
	for _, p := range email.Providers() {
		f, ok := a.Providers[p.Name]
		if !ok {
			continue
		}
		if v, bad := judgeProvider(p, f); bad {
			out = append(out, v)
		}
	}
	answered := a.Sent + a.Bounced
	if n := a.Reasons[email.ReasonContent]; n >= leastContent && share(n, answered) >= contentShare {
		out = append(out, verdict{"", news.PauseContent, fmt.Sprintf("%d of %d mails were refused for what is in them", n, answered)})
	}
	return out
}

func judgeProvider(p email.Provider, f news.EditionFigures) (verdict, bool) {
	least := 2
	if f.Sent >= complaintAlone {
		least = 1
	}
	if f.Complaints >= least && share(f.Complaints, f.Sent) >= complaintShare {
		return verdict{p.Name, news.PauseComplaints, fmt.Sprintf("%d of %d readers at %s called it spam (%.2f %%)", f.Complaints, f.Sent, p.Label, 100*share(f.Complaints, f.Sent))}, true
	}
	answered := f.Sent + f.Bounced
	sure := answered >= bounceAnswers || f.Waiting+f.UnderWay == 0 || share(f.Hard, answered) >= bounceShareSure
	if f.Hard >= leastBounces && sure && share(f.Hard, answered) >= bounceShare {
		return verdict{p.Name, news.PauseBounces, fmt.Sprintf("%d of %d mails to %s found no mailbox (%.1f %%)", f.Hard, answered, p.Label, 100*share(f.Hard, answered))}, true
	}
	return verdict{}, false
}

func share(n, of int) float64 {
	if of <= 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// judgeEvery is how often an edition is looked at while mails of it come back.
const judgeEvery = time.Second

// judges look at editions of which something came back, each at most once a second.
type judges struct {
	service *Service

	mu      sync.Mutex
	pending map[string]bool
	timer   *time.Timer
}

// look asks for an edition to be looked at soon.
func (j *judges) look(edition string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending[edition] = true
	if j.timer == nil && j.service.ctx.Err() == nil {
		j.service.busy.Add(1)
		j.timer = time.AfterFunc(judgeEvery, j.run)
	}
}

// stop lets no look begin any more. The service's context has ended.
func (j *judges) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.timer != nil && j.timer.Stop() {
		j.timer = nil
		j.service.busy.Done()
	}
}

func (j *judges) run() {
	defer j.service.busy.Done()
	j.mu.Lock()
	editions := j.pending
	j.pending, j.timer = map[string]bool{}, nil
	j.mu.Unlock()
	for id := range editions {
		if err := j.service.judge(j.service.ctx, id); err != nil && j.service.ctx.Err() == nil {
			j.service.log.Error("edition not judged", "edition", id, "error", err)
		}
	}
}

// judge pauses an edition that has to be.
func (s *Service) judge(ctx context.Context, id string) error {
	account, err := s.Store.Edition(ctx, id)
	if err != nil {
		return fmt.Errorf("digest: edition %s: %w", id, err)
	}
	for _, v := range judgeEdition(&account) {
		paused, err := s.Store.PauseEdition(ctx, news.EditionPause{Edition: id, Provider: v.provider, Reason: v.reason, Detail: v.detail, By: news.SystemName})
		if err != nil {
			return fmt.Errorf("digest: pause %s: %w", id, err)
		}
		if paused {
			s.pauses.forget()
			s.log.WarnContext(ctx, "edition paused", "edition", id, "provider", v.provider, "reason", v.reason, "detail", v.detail)
		}
	}
	return nil
}

// pausesFresh is how old the pauses may be by which mails are held back before a claim;
// the claim itself asks the store.
const pausesFresh = 2 * time.Second

// pauses remembers which editions wait for an editor.
type pauses struct {
	mu    sync.Mutex
	open  map[[2]string]bool // edition and provider
	read  time.Time
	ended bool // one has, since resumed was asked
}

func (p *pauses) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = time.Time{}
}

// anyOf reports whether any edition is paused for a provider, as far as is known.
func (p *pauses) anyOf(provider string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.open {
		if key[1] == provider {
			return true
		}
	}
	return false
}

// waits reports whether a job's edition is paused for it, or its provider has had
// enough of us for today.
func (s *Service) waits(ctx context.Context, j job) (bool, error) {
	id := j.edition.ID()
	paused, err := s.pauses.hold(ctx, s.Store, id, j.provider)
	if paused || err != nil {
		return true, err
	}
	begin, err := s.mayBegin(ctx, j.provider)
	return !begin, err
}

// hold reports whether an edition is paused for a provider.
func (p *pauses) hold(ctx context.Context, store Ledger, edition, provider string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.read.IsZero() || time.Since(p.read) >= pausesFresh {
		if err := p.load(ctx, store); err != nil {
			return true, err
		}
	}
	return p.open[[2]string{edition, ""}] || p.open[[2]string{edition, provider}], nil
}

// load reads the pauses anew. p.mu is held.
func (p *pauses) load(ctx context.Context, store Ledger) error {
	list, err := store.OpenPauses(ctx)
	if err != nil {
		return fmt.Errorf("digest: pauses: %w", err)
	}
	open := make(map[[2]string]bool, len(list))
	for _, one := range list {
		open[[2]string{one.Edition, one.Provider}] = true
	}
	for key := range p.open {
		p.ended = p.ended || !open[key]
	}
	p.open, p.read = open, time.Now()
	return nil
}

// resumed reports, once, that an editor let an edition go on: whoever was passed over
// has to be looked at.
func (p *pauses) resumed(ctx context.Context, store Ledger) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.load(ctx, store)
	ended := p.ended
	p.ended = false
	return ended, err
}
