// Package intake takes story events in: it decodes, validates and cleans them,
// stores them with what follows from them in one transaction, and only then
// says that they are done.
//
// It promises: a story is stored, or set aside in the dead letters with every
// fault and its path, or comes again; there is no fourth way. A fault of the
// content is set aside at once, since trying again mends nothing; a fault of
// the database is tried again without limit; a story that takes the process
// down five times is set aside as well, so that it cannot keep the others from
// readers. Stored text is plain and clean. Logs name sequences and reasons,
// never what a story says.
//
// Broken text (invalid UTF-8, half surrogate pairs, NUL) is refused; text that
// is merely untidy (control and bidi-override characters, markup) is cleaned.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Stories is where stories are kept. StoreStory runs decide in the transaction
// that stores the story, when it is a new version, and applies the effects.
type Stories interface {
	StoreStory(ctx context.Context, story news.Story,
		decide func(news.StoryPrior) (news.StoryEffects, error)) (news.Story, news.StoryResult, error)
	Policies(ctx context.Context) (news.Policies, error)
	Ping(ctx context.Context) error
}

// DeadLetters is where what can't be used is kept.
type DeadLetters interface {
	SaveDeadLetter(ctx context.Context, d news.DeadLetter) error
	DeadLetter(ctx context.Context, id string) (news.DeadLetter, error)
	MarkReplayed(ctx context.Context, id, note string) error
}

// Crashes counts handlings that began and never ended, by the event's sequence.
type Crashes interface {
	BeginHandling(ctx context.Context, sequence uint64) (crashes int, err error)
	EndHandling(ctx context.Context, sequence uint64) error
}

// Store is all of the three.
type Store interface {
	Stories
	DeadLetters
	Crashes
}

// Waker tells the other processes to look at the store. A lost wake-up costs
// time, not truth.
type Waker interface {
	Wake(topic string) error
}

// The topics the intake wakes.
const (
	topicStories  = "stories"
	topicReleases = "releases"
	topicControl  = "control"
)

// Config is what a Service is made of.
type Config struct {
	Store Store
	Waker Waker // nil: nobody is woken
	// StoryHosts are the hosts that links may lead to; none: any https host.
	StoryHosts []string
	// MaxStoryAge: older stories raise nothing by themselves; 0: 6 h.
	MaxStoryAge time.Duration
	// Navigate gives the absolute URL that a press on a notification opens.
	Navigate func(*news.Alert, *news.Story) string
	Floor    *web.Floor // for Routes
	Logger   *slog.Logger
	Now      func() time.Time
	NewID    func() string
}

// Service is the intake. It is safe for concurrent use.
type Service struct {
	config  Config
	decoder *Decoder
	started time.Time
	log     *slog.Logger
	figures figures
	turns   turns
	// suspect is set by a fault of the store: before the next story, Handle
	// waits until the store answers.
	suspect atomic.Bool
}

// New makes a Service.
func New(c Config) (*Service, error) {
	if c.MaxStoryAge == 0 {
		c.MaxStoryAge = 6 * time.Hour
	}
	if c.Now == nil {
		c.Now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	}
	if c.NewID == nil {
		c.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if c.Navigate == nil {
		c.Navigate = func(_ *news.Alert, s *news.Story) string { return s.URL }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	decoder, err := NewDecoder(c.StoryHosts, c.Now)
	if err != nil {
		return nil, err
	}
	return &Service{config: c, decoder: decoder, started: c.Now(), log: c.Logger.With("component", "intake")}, nil
}

// maxCrashes is how often handling a story may take the process down, or
// panic, before the story is set aside.
const maxCrashes = 5

// Take begins with one event from the stream and gives what finishes it, as
// Handle does. It is called for one event after the other, in their order; what
// it gives back may run beside others. Events about one story are finished in
// the order in which they were taken.
//
// An event that may have taken the process down before is finished alone and
// before Take returns: if it does so again, nobody else's story is blamed.
func (s *Service) Take(ctx context.Context, ev news.StoryEvent) (finish func() news.Disposition) {
	if s.mayHaveCrashed(ev) {
		s.turns.over()
		d := s.Handle(ctx, ev)
		return func() news.Disposition { return d }
	}
	read := s.readEarly(ev)
	turn := s.turns.take(read.uri())
	return func() news.Disposition {
		defer turn.end()
		turn.begin()
		return s.finish(ctx, ev, read)
	}
}

// reading is an event as it was read; nil: it is still to be read.
type reading struct {
	story news.Story
	err   error
}

// uri is that of the event's story; empty when it can't be read, and then it is
// set aside by itself.
func (r *reading) uri() string {
	if r == nil || r.err != nil {
		return ""
	}
	return r.story.URI
}

func (s *Service) read(ev news.StoryEvent) *reading {
	story, err := s.decoder.Decode(ev)
	return &reading{story, err}
}

// readEarly is read for the order of events alone: a panic is met again, and
// counted, when the event is finished.
func (s *Service) readEarly(ev news.StoryEvent) (r *reading) {
	defer func() { _ = recover() }()
	return s.read(ev)
}

// Handle does everything with one event from the stream and says what becomes
// of it. Panics end here. After a fault of the store it waits until the store
// answers again, so that an outage costs no story its turn; ctx ends the wait.
func (s *Service) Handle(ctx context.Context, ev news.StoryEvent) news.Disposition {
	return s.finish(ctx, ev, nil)
}

// finish is Handle with what Take may have read.
func (s *Service) finish(ctx context.Context, ev news.StoryEvent, read *reading) (d news.Disposition) {
	if !s.storeAnswers(ctx) {
		return news.Later(0)
	}
	log := s.log.With("sequence", ev.Sequence, "delivery", ev.Deliveries)
	crashes, counted := 0, s.mayHaveCrashed(ev)
	if counted {
		var err error
		if crashes, err = s.config.Store.BeginHandling(ctx, ev.Sequence); err != nil {
			return s.later(ctx, ev, log, fmt.Errorf("count the handling: %w", err))
		}
		crashes++ // the first handling, which was not counted
	}
	defer func() {
		if p := recover(); p != nil { // counted like a crash: it never ended
			d = s.panicked(log, p)
			return
		}
		if counted {
			s.endHandling(ctx, ev, log)
		}
	}()
	if crashes >= maxCrashes {
		return s.setAside(ctx, ev, log, crashedProblem())
	}
	return s.handle(ctx, ev, read, log)
}

// endPatience is how long the end of a handling is tried to be noted.
const endPatience = 2 * time.Second

// endHandling notes that the process lived through the handling, also when it
// is being stopped: an orderly stop in the middle of a story is no crash of it.
func (s *Service) endHandling(ctx context.Context, ev news.StoryEvent, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
	defer cancel()
	if err := s.config.Store.EndHandling(ctx, ev.Sequence); err != nil {
		log.Warn("could not note the end of the handling", "error", err)
	}
}

// mayHaveCrashed reports whether handling the event may have taken a process
// down before: it was delivered before, or it is older than this process. The
// number of deliveries alone does not tell: an embedded NATS that dies with us
// within 100 ms of a delivery has forgotten it. All other events are new, and
// are spared the two writes of counting.
func (s *Service) mayHaveCrashed(ev news.StoryEvent) bool {
	return ev.Deliveries > 1 || ev.At.Before(s.started)
}

func crashedProblem() error {
	return news.Invalid("", "handling this story took the process down %d times; it is set aside until it is replayed", maxCrashes)
}

func (s *Service) handle(ctx context.Context, ev news.StoryEvent, read *reading, log *slog.Logger) news.Disposition {
	if read == nil {
		read = s.read(ev)
	}
	if read.err != nil {
		return s.setAside(ctx, ev, log, read.err)
	}
	stored, result, err := s.store(ctx, read.story)
	switch {
	case errors.Is(err, news.ErrInvalid):
		return s.setAside(ctx, ev, log, err)
	case err != nil:
		return s.later(ctx, ev, log, err)
	}
	log.Info("story taken in", "result", result, "version", stored.Version, "status", stored.Status)
	return news.Ack()
}

// store stores a story with what follows from it, and wakes whom it concerns.
func (s *Service) store(ctx context.Context, story news.Story) (news.Story, news.StoryResult, error) {
	policies, err := s.config.Store.Policies(ctx)
	if err != nil {
		return news.Story{}, "", fmt.Errorf("intake: read the policies: %w", err)
	}
	rules := Rules{Policies: policies, MaxStoryAge: s.config.MaxStoryAge, Navigate: s.config.Navigate,
		NewID: s.config.NewID, Now: s.config.Now()}
	var effects news.StoryEffects
	stored, result, err := s.config.Store.StoreStory(ctx, story, func(prior news.StoryPrior) (news.StoryEffects, error) {
		var err error
		effects, err = Decide(story, prior, rules)
		return effects, err
	})
	if err != nil {
		return news.Story{}, "", fmt.Errorf("intake: store a story: %w", err)
	}
	s.figures.count(result)
	if result == news.StoryStored {
		s.wake(effects)
	}
	return stored, result, nil
}

// wake tells the others what follows from a stored story: stops first.
func (s *Service) wake(effects news.StoryEffects) {
	if s.config.Waker == nil {
		return
	}
	control, releases := false, effects.Release != nil
	for _, c := range effects.Changes {
		control = control || c.Action.Freeze || c.Action.Stop || c.Action.Release != nil
		releases = releases || c.Action.Release != nil || c.Alert.State == news.AlertHolding
	}
	for _, t := range []struct {
		topic string
		due   bool
	}{{topicControl, control}, {topicReleases, releases}, {topicStories, true}} {
		if !t.due {
			continue
		}
		if err := s.config.Waker.Wake(t.topic); err != nil {
			s.log.Warn("wake-up failed; the next look at the store finds it", "topic", t.topic, "error", err)
		}
	}
}

// setAside puts an event into the dead letters.
func (s *Service) setAside(ctx context.Context, ev news.StoryEvent, log *slog.Logger, why error) news.Disposition {
	var invalid *news.InvalidError
	if !errors.As(why, &invalid) {
		return s.later(ctx, ev, log, why)
	}
	d := deadLetter(ev, invalid.Problems)
	d.ID, d.ReceivedAt = s.config.NewID(), s.config.Now()
	if err := s.config.Store.SaveDeadLetter(ctx, d); err != nil {
		return s.later(ctx, ev, log, fmt.Errorf("save a dead letter: %w", err))
	}
	s.figures.deadLetters.Add(1)
	paths := make([]string, 0, len(d.Problems))
	for _, p := range d.Problems {
		paths = append(paths, p.Path)
	}
	log.Warn("story set aside", "dead_letter", d.ID, "faults", len(d.Problems), "paths", paths)
	return news.Term(fmt.Sprintf("set aside as dead letter %s", d.ID))
}

// deadLetter keeps an event as it came, within the limits that keep a hostile
// sender from filling the database.
func deadLetter(ev news.StoryEvent, problems []news.Problem) news.DeadLetter {
	d := news.DeadLetter{Source: "nats", Subject: ev.Subject, Sequence: ev.Sequence, Headers: ev.Headers, Body: ev.Body,
		Problems: problems}
	if len(d.Body) > MaxBody {
		d.Body = d.Body[:MaxBody]
	}
	if _, err := readHeaders(d.Headers); err != nil {
		d.Headers = nil
	}
	return d
}

// later puts an event off because of a fault that is not its own.
func (s *Service) later(ctx context.Context, ev news.StoryEvent, log *slog.Logger, why error) news.Disposition {
	if ctx.Err() != nil { // we are ending: it is no fault, and somebody else may have it at once
		return news.Later(0)
	}
	s.suspect.Store(true)
	s.figures.retries.Add(1)
	after := backoff(ev.Deliveries, rand.Float64())
	log.Warn("story put off", "after", after, "error", why)
	return news.Later(after)
}

// backoff is the wait after so many deliveries: 1, 5, 30, 120, 300 s and then
// always 300 s, spread by a fifth either way (random is 0 to 1).
func backoff(deliveries int, random float64) time.Duration {
	steps := [...]time.Duration{1, 5, 30, 120, 300}
	step := steps[min(max(deliveries, 1), len(steps))-1] * time.Second
	return time.Duration(float64(step) * (0.8 + 0.4*random)).Truncate(time.Millisecond)
}

// panicRetry is the wait after a panic: short, since a story that panics always
// is set aside after the fifth time, and everybody waits to see it there.
const panicRetry = 200 * time.Millisecond

func (s *Service) panicked(log *slog.Logger, p any) news.Disposition {
	s.figures.panics.Add(1)
	// The value may quote the story; its type and the stack are enough to find it.
	log.Error("panic while handling a story", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	return news.Later(panicRetry)
}

// storeAnswers waits, after a fault of the store, until it answers.
func (s *Service) storeAnswers(ctx context.Context) bool {
	if !s.suspect.Load() {
		return true
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.config.Store.Ping(ctx)
		if err == nil {
			s.suspect.Store(false)
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
