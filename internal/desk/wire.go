package desk

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

// WireStore is what the wire reads.
type WireStore interface {
	// NewestStored lists newest versions, the latest stored first.
	NewestStored(ctx context.Context, limit int) ([]news.Story, error)
	// StoredSince lists every version stored after an instant, in the order of
	// their commits.
	StoredSince(ctx context.Context, after time.Time, limit int) ([]news.Story, error)
	AlertsOfStories(ctx context.Context, uris []string) (map[string][]news.Alert, error)
}

const (
	// wirePoll is how often the wire looks without having been woken: half of
	// the second in which a story must be seen (DESIGN 6).
	wirePoll = 500 * time.Millisecond
	// wireBatch stories are read at a time.
	wireBatch = 200
	// wireKept is how many of the last stories wait in memory for a page whose
	// connection broke; older ones it reads from the store.
	wireKept = 500
)

// wireStory is a story with what the wire shows beside it.
type wireStory struct {
	story  news.Story
	alerts map[string][]news.Alert // of the story and of those under it
	under  []news.Story            // tell of the same event
}

// wireItem is one story as open pages get it.
type wireItem struct {
	story news.Story
	html  string
}

// wire hands every newly stored story to the open pages. One reader of the
// store and one rendering serve all of them.
type wire struct {
	store  WireStore
	render func(wireStory) (string, error)
	onWake func(topic string, fn func()) (cancel func(), err error)
	log    *slog.Logger

	recent []telling // newest first; the loop's own
	mu     sync.Mutex
	kept   []wireItem // everything stored after from, ascending by StoredAt
	from   time.Time
	after  time.Time // everything stored up to here was handed out
	next   chan struct{}
	begun  chan struct{} // closed after the first look
	over   chan struct{} // closed when run ends: the open streams end, too
}

func newWire(s WireStore, render func(wireStory) (string, error),
	onWake func(string, func()) (func(), error), log *slog.Logger,
) *wire {
	return &wire{store: s, render: render, onWake: onWake, log: log,
		next: make(chan struct{}), begun: make(chan struct{}), over: make(chan struct{})}
}

// run reads the store until ctx ends. A store that fails is asked again.
func (w *wire) run(ctx context.Context) error {
	defer close(w.over)
	woken := make(chan struct{}, 1)
	if w.onWake != nil {
		cancel, err := w.onWake("stories", func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		if err != nil {
			return fmt.Errorf("desk: wake-ups of the wire: %w", err)
		}
		defer cancel()
	}
	poll := time.NewTicker(wirePoll)
	defer poll.Stop()
	for failing := false; ; {
		err := w.look(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			w.log.Warn("the wire can't be read; tried again", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-woken:
		case <-poll.C:
		}
	}
}

// look hands out what was stored since the last look.
func (w *wire) look(ctx context.Context) error {
	w.mu.Lock()
	after := w.after
	w.mu.Unlock()
	if after.IsZero() { // the first look: what is there already is on the page
		newest, err := w.store.NewestStored(ctx, wireLooked)
		if err != nil {
			return err
		}
		after = time.Unix(1, 0).UTC()
		if len(newest) > 0 {
			after = newest[0].StoredAt
		}
		for _, s := range newest {
			w.recent = append(w.recent, tellingOf(s))
		}
		w.hand(nil, after)
		close(w.begun)
	}
	for {
		stories, err := w.store.StoredSince(ctx, after, wireBatch)
		if err != nil || len(stories) == 0 {
			return err
		}
		items, err := w.items(ctx, stories, w.remember(stories))
		if err != nil {
			return err
		}
		after = stories[len(stories)-1].StoredAt
		w.hand(items, after)
	}
}

// remember adds stories, in the order they were stored, to those that later
// ones are compared with, and lists what each is alike to.
func (w *wire) remember(stories []news.Story) (under map[string][]news.Story) {
	under = map[string][]news.Story{}
	for _, s := range stories {
		t := tellingOf(s)
		w.recent = slices.DeleteFunc(w.recent, func(o telling) bool { return o.story.URI == s.URI })
		under[s.URI] = t.like(w.recent)
		w.recent = slices.Insert(w.recent, 0, t)
	}
	w.recent = w.recent[:min(len(w.recent), wireLooked)]
	return under
}

// items renders stories with their alerts and with those under them.
func (w *wire) items(ctx context.Context, stories []news.Story, under map[string][]news.Story) ([]wireItem, error) {
	uris := make([]string, 0, len(stories))
	for _, s := range stories {
		uris = append(uris, s.URI)
		for _, u := range under[s.URI] {
			uris = append(uris, u.URI)
		}
	}
	alerts, err := w.store.AlertsOfStories(ctx, uris)
	if err != nil {
		return nil, err
	}
	items := make([]wireItem, 0, len(stories))
	for _, s := range stories {
		html, err := w.render(wireStory{s, alerts, under[s.URI]})
		if err != nil {
			return nil, err
		}
		items = append(items, wireItem{s, html})
	}
	return items, nil
}

func (w *wire) hand(items []wireItem, after time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from.IsZero() {
		w.from = after
	}
	w.kept = append(w.kept, items...)
	if extra := len(w.kept) - wireKept; extra > 0 {
		w.from = w.kept[extra-1].story.StoredAt
		w.kept = append([]wireItem(nil), w.kept[extra:]...)
	}
	w.after = after
	if len(items) > 0 {
		close(w.next)
		w.next = make(chan struct{})
	}
}

// since lists what was stored after an instant, and a channel that is closed
// when there is more. Memory reaches back wireKept stories; for what is older,
// after a restart say, the store is asked, for wireBatch at a time.
func (w *wire) since(ctx context.Context, after time.Time) (items []wireItem, more <-chan struct{}, err error) {
	select {
	case <-w.begun:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-w.over:
		return nil, w.over, nil
	}
	items, more, known := w.remembered(after)
	if known {
		return items, more, nil
	}
	stories, err := w.store.StoredSince(ctx, after, wireBatch)
	if err != nil {
		return nil, nil, err
	}
	items, err = w.items(ctx, stories, nil) // old ones: what is alike stands on the page
	return items, more, err
}

func (w *wire) remembered(after time.Time) (items []wireItem, more <-chan struct{}, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if after.Before(w.from) {
		return nil, w.next, false
	}
	for _, item := range w.kept {
		if item.story.StoredAt.After(after) {
			items = append(items, item)
		}
	}
	return items, w.next, true
}
