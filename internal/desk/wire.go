package desk

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/telling"
)

// WireStore is what the wire reads.
type WireStore interface {
	Stories
	// NewestStored lists newest versions, the latest stored first.
	NewestStored(ctx context.Context, limit int) ([]news.Story, error)
	// StoredSince lists every version stored after an instant, in the order of
	// their commits.
	StoredSince(ctx context.Context, after time.Time, limit int) ([]news.Story, error)
	AlertsOfStories(ctx context.Context, uris []string) (map[string][]news.Alert, error)
	// AlertChanges lists what changed of alerts after a line of the audit trail,
	// in the order of commits; LastChange is the newest line.
	AlertChanges(ctx context.Context, after int64, limit int) ([]news.ChangedAlert, error)
	LastChange(ctx context.Context) (int64, error)
}

const (
	// wirePoll is how often the wire looks without having been woken: half of
	// the second in which a story must be seen (DESIGN 6).
	wirePoll = 500 * time.Millisecond
	// wireBatch stories or changes are read at a time.
	wireBatch = 200
	// wireKept is how many of the last events wait in memory for a page whose
	// connection broke; older ones it reads from the store.
	wireKept = 500
)

// wireTopics are what the wire is woken by: a story was stored, an alert was
// released or stopped. What wakes nobody, a draft say, waits for the next look.
func wireTopics() []string { return []string{"stories", topicReleases, topicControl} }

// wireStory is a story with what the wire shows beside it.
type wireStory struct {
	story  news.Story
	alerts map[string][]news.Alert // of the story and of those under it
	under  []news.Story            // tell of the same event
}

// wireLine is one story as open pages get it.
type wireLine struct {
	story news.Story
	html  string
}

// wirePoint is how far a page has come: it has every version stored up to an
// instant, and every change of an alert up to a line of the audit trail. Both
// grow in the order of commits, and are the same in every process.
type wirePoint struct {
	stored time.Time
	change int64
}

// wireEvent is what an open page gets at once: a new version of a story, or the
// lines that a change of alerts touched, as they are then.
type wireEvent struct {
	story  bool
	stored time.Time // of a story
	change int64     // of touched lines: the last change they tell of
	lines  []wireLine
}

// lacks reports whether a page that has come so far does not have the event.
func (p wirePoint) lacks(e *wireEvent) bool {
	if e.story {
		return e.stored.After(p.stored)
	}
	return e.change > p.change
}

// past is how far a page has come with the event.
func (p wirePoint) past(e *wireEvent) wirePoint {
	if e.story {
		p.stored = e.stored
	} else {
		p.change = e.change
	}
	return p
}

// wire hands every newly stored story, and every line whose alerts changed, to
// the open pages. One reader of the store and one rendering serve all of them.
type wire struct {
	store  WireStore
	render func(wireStory) (string, error)
	onWake func(topic string, fn func()) (cancel func(), err error)
	log    *slog.Logger

	mu     sync.Mutex
	recent []*telling.Telling // newest first
	kept   []wireEvent        // everything after from, in the order it was handed out
	from   wirePoint
	after  wirePoint // everything up to here was handed out
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
	for _, topic := range wireTopics() {
		if w.onWake == nil {
			break
		}
		cancel, err := w.onWake(topic, func() {
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

// look hands out what was stored and what changed since the last look.
func (w *wire) look(ctx context.Context) error {
	at, err := w.begin(ctx)
	if err != nil {
		return err
	}
	for {
		stories, err := w.store.StoredSince(ctx, at.stored, wireBatch)
		if err != nil {
			return err
		}
		if len(stories) == 0 {
			break
		}
		events, err := w.storyEvents(ctx, stories, w.remember(stories))
		if err != nil {
			return err
		}
		at.stored = stories[len(stories)-1].StoredAt
		w.hand(events, at)
		if len(stories) < wireBatch {
			break
		}
	}
	for {
		changes, err := w.store.AlertChanges(ctx, at.change, wireBatch)
		if err != nil || len(changes) == 0 {
			return err
		}
		event, err := w.changeEvent(ctx, changes)
		if err != nil {
			return err
		}
		at.change = event.change
		w.hand([]wireEvent{event}, at)
		if len(changes) < wireBatch {
			return nil
		}
	}
}

// begin is where this look goes on from. The first one finds what is on the
// pages already; the changes are read first, so that none is missed.
func (w *wire) begin(ctx context.Context) (wirePoint, error) {
	w.mu.Lock()
	at := w.after
	w.mu.Unlock()
	if !at.stored.IsZero() {
		return at, nil
	}
	change, err := w.store.LastChange(ctx)
	if err != nil {
		return at, err
	}
	newest, err := w.store.NewestStored(ctx, wireLooked)
	if err != nil {
		return at, err
	}
	at = wirePoint{time.Unix(1, 0).UTC(), change}
	if len(newest) > 0 {
		at.stored = newest[0].StoredAt
	}
	w.mu.Lock()
	for _, s := range newest {
		w.recent = append(w.recent, telling.Of(&s))
	}
	w.mu.Unlock()
	w.hand(nil, at)
	close(w.begun)
	return at, nil
}

// remember adds stories, in the order they were stored, to those that later
// ones are compared with, and lists what each is alike to.
func (w *wire) remember(stories []news.Story) (under map[string][]news.Story) {
	w.mu.Lock()
	defer w.mu.Unlock()
	under = map[string][]news.Story{}
	for _, s := range stories {
		t := telling.Of(&s)
		w.recent = slices.DeleteFunc(w.recent, func(o *telling.Telling) bool { return o.Story.URI == s.URI })
		under[s.URI] = like(t, w.recent)
		w.recent = slices.Insert(w.recent, 0, t)
	}
	w.recent = w.recent[:min(len(w.recent), wireLooked)]
	return under
}

// touched lists the recent stories that show alerts of the given ones: those
// themselves, and whatever they may stand under.
func (w *wire) touched(uris map[string]bool) (stories []news.Story) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var of []*telling.Telling
	for _, t := range slices.Backward(w.recent) { // the oldest first
		if uris[t.Story.URI] {
			of = append(of, t)
		} else if !slices.ContainsFunc(of, t.Alike) {
			continue
		}
		stories = append(stories, *t.Story)
	}
	return stories
}

// under lists what each of the stories, of the recent ones, stands over.
func (w *wire) under(stories []news.Story) map[string][]news.Story {
	w.mu.Lock()
	defer w.mu.Unlock()
	under := map[string][]news.Story{}
	for _, s := range stories {
		i := slices.IndexFunc(w.recent, func(t *telling.Telling) bool { return t.Story.URI == s.URI })
		if i >= 0 {
			under[s.URI] = like(w.recent[i], w.recent[i+1:])
		}
	}
	return under
}

// lines renders stories with their alerts and with those under them.
func (w *wire) lines(ctx context.Context, stories []news.Story, under map[string][]news.Story) ([]wireLine, error) {
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
	lines := make([]wireLine, 0, len(stories))
	for _, s := range stories {
		html, err := w.render(wireStory{s, alerts, under[s.URI]})
		if err != nil {
			return nil, err
		}
		lines = append(lines, wireLine{s, html})
	}
	return lines, nil
}

func (w *wire) storyEvents(ctx context.Context, stories []news.Story, under map[string][]news.Story) ([]wireEvent, error) {
	lines, err := w.lines(ctx, stories, under)
	if err != nil {
		return nil, err
	}
	events := make([]wireEvent, 0, len(lines))
	for _, l := range lines {
		events = append(events, wireEvent{story: true, stored: l.story.StoredAt, lines: []wireLine{l}})
	}
	return events, nil
}

// changeEvent is one event for all of the changes: several of one line are told
// by its last state. A story too old to be among the recent ones may still
// stand on a page that has been open for long.
func (w *wire) changeEvent(ctx context.Context, changes []news.ChangedAlert) (wireEvent, error) {
	e := wireEvent{change: changes[len(changes)-1].Seq}
	uris := map[string]bool{}
	for _, c := range changes {
		uris[c.StoryURI] = true
	}
	stories := w.touched(uris)
	for _, uri := range sortedKeys(uris) {
		if slices.ContainsFunc(stories, func(s news.Story) bool { return s.URI == uri }) {
			continue
		}
		s, err := w.store.Story(ctx, uri)
		if err != nil {
			return e, err
		}
		stories = append(stories, s)
	}
	var err error
	e.lines, err = w.lines(ctx, stories, w.under(stories))
	return e, err
}

func (w *wire) hand(events []wireEvent, after wirePoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from.stored.IsZero() {
		w.from = after
	}
	w.kept = append(w.kept, events...)
	if extra := len(w.kept) - wireKept; extra > 0 {
		for i := range extra {
			w.from = w.from.past(&w.kept[i])
		}
		w.kept = slices.Clone(w.kept[extra:])
	}
	w.after = after
	if len(events) > 0 {
		close(w.next)
		w.next = make(chan struct{})
	}
}

// now is the point up to which everything was handed out.
func (w *wire) now() wirePoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.after
}

// since lists what a page that has come so far lacks, where the events go on
// from, and a channel that is closed when there is more. Memory reaches back
// wireKept events; for what is older, after a restart say, the store is asked,
// for wireBatch at a time. When it has nothing more, the page has come as far as
// memory reaches: lines of the trail that tell of no alert hold nobody back.
func (w *wire) since(ctx context.Context, at wirePoint) (events []wireEvent, from wirePoint, more <-chan struct{}, err error) {
	events, reach, more, known := w.remembered(at)
	if known {
		return events, at, more, nil
	}
	stories, err := w.store.StoredSince(ctx, at.stored, wireBatch)
	if err != nil {
		return nil, at, nil, err
	}
	if len(stories) > 0 {
		events, err = w.storyEvents(ctx, stories, w.under(stories))
		return events, at, more, err
	}
	changes, err := w.store.AlertChanges(ctx, at.change, wireBatch)
	if err != nil {
		return nil, at, nil, err
	}
	if len(changes) > 0 {
		event, err := w.changeEvent(ctx, changes)
		return []wireEvent{event}, at, more, err
	}
	at.change = max(at.change, reach.change)
	if at.stored.Before(reach.stored) {
		at.stored = reach.stored
	}
	return w.since(ctx, at) // memory may have moved on meanwhile
}

// remembered is since from memory; reach is how far back that goes.
func (w *wire) remembered(at wirePoint) (events []wireEvent, reach wirePoint, more <-chan struct{}, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.stored.Before(w.from.stored) || at.change < w.from.change {
		return nil, w.from, w.next, false
	}
	for i := range w.kept {
		if at.lacks(&w.kept[i]) {
			events = append(events, w.kept[i])
		}
	}
	return events, w.from, w.next, true
}
