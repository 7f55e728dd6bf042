package desk

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"dateline/internal/news"
)

// bellPoll is how often it is looked, without having been woken, whether the
// whole desk has to be told something.
const bellPoll = time.Second

// bell tells every open page of the desk what everybody has to know at once:
// that an alert was released by one editor where two are asked for.
type bell struct {
	open   func(ctx context.Context) ([]news.Emergency, error)
	render func(ctx context.Context, open []news.Emergency) (string, error)
	onWake func(topic string, fn func()) (cancel func(), err error)
	log    *slog.Logger

	mu   sync.Mutex
	html string
	next chan struct{} // closed when html changes
}

func newBell(p *Pages, onWake func(string, func()) (func(), error)) *bell {
	return &bell{open: p.desk.store.OpenEmergencies, render: p.renderNotices, onWake: onWake, log: p.log, next: make(chan struct{})}
}

// run looks until ctx ends. Without wake-ups it looks all the same.
func (b *bell) run(ctx context.Context) {
	woken := make(chan struct{}, 1)
	if b.onWake != nil {
		cancel, err := b.onWake(topicDesk, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		if err != nil {
			b.log.Warn("no wake-ups of the desk's notices; they are looked for every second", "error", err)
		} else {
			defer cancel()
		}
	}
	tick := time.NewTicker(bellPoll)
	defer tick.Stop()
	for {
		b.look(ctx)
		select {
		case <-woken:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look keeps what was said while the store does not answer.
func (b *bell) look(ctx context.Context) {
	open, err := b.open(ctx)
	html := ""
	if err == nil {
		html, err = b.render(ctx, open)
	}
	if err != nil {
		if ctx.Err() == nil {
			b.log.Warn("the desk's notices can't be read", "error", err)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if html != b.html {
		b.html = html
		close(b.next)
		b.next = make(chan struct{})
	}
}

// says is what to show now, and a channel that is closed when that changes.
func (b *bell) says() (html string, next <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.html, b.next
}

func (p *Pages) renderNotices(ctx context.Context, open []news.Emergency) (string, error) {
	views, err := p.glassOf(ctx, news.Person{}, open)
	if err != nil {
		return "", err
	}
	return p.floor.Part("desk/alerts", "notices", views)
}

// rung makes a live stream that also brings the notices, each in an event of its
// own without an id: the stream's place stays what it was.
func (p *Pages) rung(h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		shared := &sharedWriter{ResponseWriter: w}
		ctx, cancel := context.WithCancel(r.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for last := ""; ; {
				html, next := p.bell.says()
				if html != last {
					last = html
					if p.push(shared, event("notices", "", html)) != nil {
						return
					}
				}
				select {
				case <-next:
				case <-ctx.Done():
					return
				}
			}
		})
		// Nothing may be written to an answer that is over.
		defer wg.Wait()
		defer cancel()
		return h(shared, r)
	}
}

// sharedWriter lets two write whole events to one stream.
type sharedWriter struct {
	http.ResponseWriter
	mu sync.Mutex
}

func (w *sharedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController calls.
func (w *sharedWriter) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (w *sharedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// getEvents is the stream of a page that has none of its own.
func (p *Pages) getEvents(w http.ResponseWriter, r *http.Request) error {
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	if err := p.push(w, ": the desk\nretry: 1000\n\n"); err != nil {
		return nil //nolint:nilerr // the page is gone
	}
	p.wait(w, r, nil, nil, beat.C)
	return nil
}
