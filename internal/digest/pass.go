package digest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

const (
	pageSize      = 500    // readers read at once
	maxShelf      = 10_000 // stories of eight days; a big agency publishes 1,000 a day
	shelfAge      = 5 * time.Second
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
	w := &walker{service: s, pass: p, shelves: &shelves{store: s.Store, now: s.now}, jobs: make(chan job),
		handed: map[string]bool{}}
	handing, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	for range s.Workers {
		workers.Go(func() { w.work(ctx, stop) })
	}
	err := w.again(handing)
	if err == nil {
		err = w.scan(handing)
	}
	close(w.jobs)
	workers.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.figures, cmp.Or(w.fault, err)
}

type walker struct {
	service *Service
	pass    pass
	shelves *shelves
	jobs    chan job
	handed  map[string]bool // mailboxes with a deferred mail handed out in this walk

	mu      sync.Mutex
	figures news.DigestFigures
	fault   error // the first
	faults  int
}

func (w *walker) work(ctx context.Context, stop func()) {
	for j := range w.jobs {
		o, err := w.service.deliver(ctx, w.shelves, j)
		w.count(o)
		if err != nil && w.failed(fmt.Errorf("digest of %s on %s: %w", j.reader.Mailbox.ID, j.edition.LocalDate, err)) {
			stop()
		}
	}
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

func (w *walker) hand(ctx context.Context, j job) error {
	select {
	case w.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again takes up deferred mails.
func (w *walker) again(ctx context.Context) error {
	s := w.service
	mails, err := s.Store.DigestDeferred(ctx, s.now(), deferredBatch)
	if err != nil {
		return fmt.Errorf("digest: deferred mails: %w", err)
	}
	for _, m := range mails {
		j, ok, err := s.deferredJob(ctx, m, w.pass.at)
		if err != nil {
			return err
		}
		if ok {
			w.handed[m.MailboxID] = true
			err = w.hand(ctx, j)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	edition, attempts := Edition{At: m.EditionAt, LocalDate: m.LocalDate, Weekly: box.Weekly}, m.Attempts
	if newest, due := s.newest(&box, at); due && newest.LocalDate > max(m.LocalDate, reader.LastDate) {
		edition, attempts = newest, 0
	}
	if edition.LocalDate != m.LocalDate || m.LocalDate < reader.LastDate {
		if err := s.expire(ctx, m); err != nil || edition.LocalDate == m.LocalDate {
			return job{}, false, err
		}
	}
	jobs := []job{{reader: reader, edition: edition, attempts: attempts}}
	if err := s.addPushed(ctx, jobs); err != nil {
		return job{}, false, err
	}
	return jobs[0], true, nil
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

// scan walks the slots that have an edition to send.
func (w *walker) scan(ctx context.Context) error {
	s := w.service
	slots, err := w.slots(ctx)
	if err != nil || len(slots) == 0 {
		return err
	}
	for after := ""; ; {
		page, err := s.Store.DigestReaders(ctx, slots, after, pageSize)
		if err != nil {
			return fmt.Errorf("digest: readers after %q: %w", after, err)
		}
		jobs := w.due(page)
		if err := s.addPushed(ctx, jobs); err != nil {
			return err
		}
		for _, j := range jobs {
			if err := w.hand(ctx, j); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].Mailbox.ID
	}
}

func (w *walker) slots(ctx context.Context) ([]news.ZoneHour, error) {
	all, err := w.service.Store.DigestSlots(ctx)
	if err != nil {
		return nil, fmt.Errorf("digest: slots: %w", err)
	}
	return slices.DeleteFunc(all, func(slot news.ZoneHour) bool {
		zone, err := w.service.zones.load(slot.Timezone)
		if err != nil { // checked when readers sign up; zones do get renamed
			w.service.log.WarnContext(ctx, "readers in a time zone we don't know", "error", err)
			return true
		}
		// Days differ from reader to reader: a slot is looked at for any of them.
		e, ok := Schedule{Zone: zone, Hour: slot.Hour}.Newest(w.pass.at)
		return !ok || !e.At.After(w.pass.from)
	}), nil
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
		out = append(out, job{reader: r, edition: e})
	}
	return out
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

// shelves reads the stories anew every few seconds of a walk, so that a story
// killed meanwhile is in no later mail.
type shelves struct {
	store Stories
	now   func() time.Time

	mu    sync.Mutex
	shelf *Shelf
	read  time.Time // on the process's own clock
}

func (s *shelves) current(ctx context.Context) (*Shelf, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shelf != nil && time.Since(s.read) < shelfAge {
		return s.shelf, nil
	}
	now := s.now()
	stories, err := s.store.RecentStories(ctx, news.StoryFilter{CreatedSince: now.Add(-weeklyWindow - EditionLife), Limit: maxShelf})
	if err != nil {
		return nil, fmt.Errorf("digest: stories: %w", err)
	}
	killed, err := s.store.Retracted(ctx, now.Add(-weeklyWindow-EditionLife))
	if err != nil {
		return nil, fmt.Errorf("digest: retracted stories: %w", err)
	}
	stories = slices.DeleteFunc(stories, func(story news.Story) bool { return story.Version <= killed[story.URI] })
	s.shelf, s.read = NewShelf(stories, now), time.Now()
	return s.shelf, nil
}

func ignoreGone(err error) error {
	if err == nil || errors.Is(err, news.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("digest: mailbox: %w", err)
}
