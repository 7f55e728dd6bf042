package desk

import (
	"net/http"
	"time"

	"dateline/internal/web"
)

// liveEvery is how often a live part of another page is rendered anew.
const liveEvery = time.Second

// SignedIn makes a page of another part for editors who are signed in here.
func (p *Pages) SignedIn(h web.Handler) http.Handler { return p.signedIn(h) }

// Live streams a part of a page whenever it renders differently, as the event
// "part", to editors who are signed in here.
func (p *Pages) Live(render func(*http.Request) (string, error)) http.Handler {
	return p.stream(func(w http.ResponseWriter, r *http.Request) error {
		look, beat := time.NewTicker(liveEvery), time.NewTicker(streamBeat)
		defer look.Stop()
		defer beat.Stop()
		if err := p.push(w, ": live\nretry: 1000\n\n"); err != nil {
			return nil //nolint:nilerr // the page is gone
		}
		for last := ""; ; {
			html, err := render(r)
			if err != nil {
				p.log.Warn("a live part can't be rendered; the page comes back by itself", "error", err)
				return nil
			}
			if html != last {
				last = html
				if err := p.push(w, event("part", momentID(p.now()), html)); err != nil {
					return nil //nolint:nilerr // the page is gone
				}
			}
			if !p.wait(w, r, nil, look.C, beat.C) {
				return nil
			}
		}
	})
}
