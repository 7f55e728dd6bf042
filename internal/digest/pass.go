package digest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dateline/internal/email"
	"dateline/internal/news"
)

const (
	pageSize      = 500 // readers read at once
	deferredBatch = 2000
	// forgotten is when an edition that nobody sent is not even recorded as
	// expired any more.
	forgotten = 48 * time.Hour
)

// pass is one walk over the readers.
type pass struct {
	at   time.Time // editions due up to here
	from time.Time // slots whose newest edition is after this; zero: all
	// fresh leaves out editions that were due before their mailbox existed: the
	// loop does not greet a new reader with this morning's mail in the evening.
	fresh bool
}

// faultsToStop ends a walk: one reader's row may be odd, twenty faults are the
// store's.
const faultsToStop = 20

// walk sends what is due: first what was deferred and whose time has come,
// then the newest due edition of every reader who has not had it. A fault of
// the store ends it early, but never a mail that is under way.
func (s *Service) walk(ctx context.Context, p pass) (news.DigestFigures, error) {
	handing, stop := context.WithCancel(ctx)
	defer stop()
	w := &walker{service: s, pass: p, ctx: ctx, stop: stop, shelves: s.shelves, handed: map[string]bool{}}
	again, err := w.again(handing)
	if err == nil {
		err = w.scan(handing)
	}
	if err != nil {
		stop()
	}
	again()
	w.mails.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.figures, cmp.Or(w.fault, err)
}

type walker struct {
	service *Service
	pass    pass
	ctx     context.Context // of the mails
	stop    func()          // ends the handing out
	shelves *shelves
	handed  map[string]bool // mailboxes with a deferred mail handed out in this walk
	mails   sync.WaitGroup  // handed out and not done

	mu      sync.Mutex
	figures news.DigestFigures
	fault   error // the first
	faults  int
}

// hand gives a job to its lane; false when that has no room for the slot.
func (w *walker) hand(ctx context.Context, slot string, j job) bool {
	if ctx.Err() != nil {
		return false
	}
	w.mails.Add(1)
	taken := w.service.post.offer(parcel{ctx: w.ctx, job: j, slot: slot, done: func(o outcome, err error) {
		defer w.mails.Done()
		w.count(o)
		if err != nil && w.failed(fmt.Errorf("digest of %s on %s: %w", j.reader.Mailbox.ID, j.edition.LocalDate, err)) {
			w.stop()
		}
	}})
	if !taken {
		w.mails.Done()
	}
	return taken
}

// failed notes a fault, and says whether there were too many.
func (w *walker) failed(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.service.log.Error("digest", "error", err)
	if w.fault == nil {
		w.fault = err
	}
	w.faults++
	return w.faults >= faultsToStop
}

func (w *walker) count(o outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &w.figures
	switch o {
	case sent:
		f.Sent++
	case deferred:
		f.Deferred++
	case empty:
		f.Empty++
	case failed:
		f.Failed++
	case unknown:
		f.Unknown++
	default:
		return // not due: somebody else's, finished before, or too late
	}
	f.Due++
}

// again takes up deferred mails; wait waits until all have found room, beside which the
// scan goes on. One walk at a time does so: at each tick the mails that wait for a slow
// provider would be read anew.
func (w *walker) again(ctx context.Context) (wait func(), err error) {
	s := w.service
	if !s.deferring.TryLock() {
		return func() {}, nil
	}
	jobs, err := w.deferred(ctx)
	if err != nil || len(jobs) == 0 {
		s.deferring.Unlock()
		return func() {}, err
	}
	var handing sync.WaitGroup
	handing.Go(func() {
		defer s.deferring.Unlock()
		for {
			room := s.post.waiting()
			jobs = slices.DeleteFunc(jobs, func(j job) bool { return w.hand(ctx, deferredSlot, j) })
			if len(jobs) == 0 || untilRoom(ctx, room, true) != nil {
				return
			}
		}
	})
	return handing.Wait, nil
}

// deferred are the jobs of the mails whose time has come.
func (w *walker) deferred(ctx context.Context) ([]job, error) {
	s := w.service
	mails, err := s.Store.DigestDeferred(ctx, s.now(), deferredBatch)
	if err != nil {
		return nil, fmt.Errorf("digest: deferred mails: %w", err)
	}
	var jobs []job
	for _, m := range mails {
		j, ok, err := s.deferredJob(ctx, m, w.pass.at)
		if err != nil {
			return nil, err
		}
		if ok {
			w.handed[m.MailboxID] = true
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// deferredSlot is whose turn it is beside the slots when deferred mails go again.
const deferredSlot = ""

// untilRoom waits for room if there is something that needs it.
func untilRoom(ctx context.Context, room <-chan struct{}, needed bool) error {
	if !needed {
		return ctx.Err()
	}
	select {
	case <-room:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deferredJob is what a deferred mail stands for: itself, with the reader as
// she is now, or her newer edition that is due by now. Of several only the
// newest goes (DESIGN 9); the one that was put off is expired then, and also
// when a newer one has gone already.
func (s *Service) deferredJob(ctx context.Context, m news.DigestMail, at time.Time) (job, bool, error) {
	box, err := s.Store.Mailbox(ctx, m.MailboxID)
	if err != nil || box.State != news.MailboxActive || paused(&box, s.now()) {
		return job{}, false, ignoreGone(err)
	}
	reader, err := s.readerOf(ctx, box)
	if err != nil {
		return job{}, false, err
	}
	edition, attempts := editionOf(m, &box), m.Attempts
	if newest, due := s.newest(&box, at); due && newest.LocalDate > max(m.LocalDate, reader.LastDate) {
		edition, attempts = newest, 0
	}
	if edition.LocalDate != m.LocalDate || m.LocalDate < reader.LastDate {
		if err := s.expire(ctx, m); err != nil || edition.LocalDate == m.LocalDate {
			return job{}, false, err
		}
	}
	jobs := []job{{reader: reader, edition: edition, attempts: attempts, provider: email.ProviderOf(box.Address).Name}}
	if err := s.addPushed(ctx, jobs); err != nil {
		return job{}, false, err
	}
	return jobs[0], true, nil
}

// editionOf is the edition a mail was planned or claimed for.
func editionOf(m news.DigestMail, box *news.Mailbox) Edition {
	if e, err := news.ParseEditionID(m.Edition); err == nil {
		return Edition{At: m.EditionAt, LocalDate: m.LocalDate, Weekly: e.Weekly, Timezone: e.Timezone, Hour: e.Hour}
	}
	return Edition{At: m.EditionAt, LocalDate: m.LocalDate, Weekly: box.Weekly, Timezone: box.Wishes.Timezone, Hour: box.Hour}
}

// readerOf is a mailbox with what its last digest considered.
func (s *Service) readerOf(ctx context.Context, box news.Mailbox) (news.DigestReader, error) {
	reader := news.DigestReader{Mailbox: box}
	history, err := s.Store.Digests(ctx, box.ID)
	if err != nil {
		return reader, fmt.Errorf("digest: earlier mails of %s: %w", box.ID, err)
	}
	for _, past := range history {
		if past.State == news.DigestSent || past.State == news.DigestUnknown || past.State == news.DigestEmpty {
			reader.LastUntil, reader.LastDate = past.StoriesUntil, past.LocalDate
			break
		}
	}
	return reader, nil
}

// newest is the mailbox's newest edition at an instant.
func (s *Service) newest(box *news.Mailbox, at time.Time) (Edition, bool) {
	zone, err := s.zones.load(box.Wishes.Timezone)
	if err != nil { // the scan says so
		return Edition{}, false
	}
	return scheduleOf(box, zone).Newest(at)
}

func paused(m *news.Mailbox, now time.Time) bool { return m.Wishes.PausedUntil.After(now) }

// scan walks the slots that have an edition to send, a page of each in turn.
func (w *walker) scan(ctx context.Context) error {
	fresh, old, err := w.slots(ctx)
	if err != nil {
		return err
	}
	var scans []*slotScan
	for _, slot := range fresh {
		scans = append(scans, newSlotScan(w, slot))
	}
	if len(old) > 0 {
		scans = append(scans, newRestScan(w, old))
	}
	for len(scans) > 0 {
		room, moved := w.service.post.waiting(), false
		for _, s := range scans {
			stepped, err := s.step(ctx)
			if err != nil {
				return err
			}
			moved = moved || stepped
		}
		scans = slices.DeleteFunc(scans, (*slotScan).finished)
		if err := untilRoom(ctx, room, !moved && len(scans) > 0); err != nil {
			return err
		}
	}
	return nil
}

// slotAge is how long a slot's readers are read by themselves, to take their turn with
// the others: what is due two hours later is the rest of an outage, or a few.
const slotAge = 2 * time.Hour

// slots are those with an edition after the pass's start: of the last two hours, and
// older.
func (w *walker) slots(ctx context.Context) (fresh, old []news.ZoneHour, err error) {
	all, err := w.service.Store.DigestSlots(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("digest: slots: %w", err)
	}
	for _, slot := range all {
		zone, err := w.service.zones.load(slot.Timezone)
		if err != nil { // checked when readers sign up; zones do get renamed
			w.service.log.WarnContext(ctx, "readers in a time zone we don't know", "error", err)
			continue
		}
		// Days differ from reader to reader: a slot is looked at for any of them.
		e, ok := Schedule{Zone: zone, Hour: slot.Hour}.Newest(w.pass.at)
		switch {
		case !ok || !e.At.After(w.pass.from):
		case w.pass.at.Sub(e.At) < slotAge:
			fresh = append(fresh, slot)
		default:
			old = append(old, slot)
		}
	}
	return fresh, old, nil
}

// due are the editions of a page of readers that have not been sent.
func (w *walker) due(page []news.DigestReader) []job {
	var out []job
	now := w.service.now()
	for _, r := range page {
		e, ok := w.service.newest(&r.Mailbox, w.pass.at)
		switch {
		case !ok || paused(&r.Mailbox, now) || w.handed[r.Mailbox.ID] || e.LocalDate <= r.LastDate, // also after she moved west: one mail a date
			now.Sub(e.At) > forgotten,
			e.At.Before(r.Mailbox.CreatedAt) && (w.pass.fresh || now.After(e.Deadline())):
			continue
		}
		out = append(out, job{reader: r, edition: e, provider: email.ProviderOf(r.Mailbox.Address).Name})
	}
	return out
}

// planned writes down that jobs are due.
func (s *Service) planned(ctx context.Context, jobs []job) error {
	var editions []news.Edition
	mails := make([]news.DigestMail, len(jobs))
	for i, j := range jobs {
		mails[i] = s.mailOf(j)
		if e := j.edition.planned(); !slices.Contains(editions, e) {
			editions = append(editions, e)
		}
	}
	// In one order: two processes that plan the same must not wait for each other.
	slices.SortFunc(editions, func(a, b news.Edition) int { return strings.Compare(a.ID, b.ID) })
	if err := s.Store.PlanDigests(ctx, editions, mails); err != nil {
		return fmt.Errorf("digest: plan: %w", err)
	}
	return nil
}

// addPushed looks up what the readers' devices were sent, all at once.
func (s *Service) addPushed(ctx context.Context, jobs []job) error {
	var ids []string
	window := dailyWindow
	for _, j := range jobs {
		if id := j.reader.Mailbox.SubscriberID; id != "" {
			ids = append(ids, id)
		}
		if j.edition.Weekly {
			window = weeklyWindow
		}
	}
	if len(ids) == 0 {
		return nil
	}
	pushed, err := s.Store.PushedTo(ctx, ids, s.now().Add(-window-EditionLife))
	if err != nil {
		return fmt.Errorf("digest: pushed stories: %w", err)
	}
	for i := range jobs {
		jobs[i].pushed = pushed[jobs[i].reader.Mailbox.SubscriberID]
	}
	return nil
}

func ignoreGone(err error) error {
	if err == nil || errors.Is(err, news.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("digest: mailbox: %w", err)
}
