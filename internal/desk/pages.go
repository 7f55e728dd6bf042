package desk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// PageFloor renders pages, answers their errors and keeps the cookie of a
// sign-in; *web.Floor is one.
type PageFloor interface {
	Page(h web.Handler) http.Handler
	Render(w http.ResponseWriter, status int, name string, data any) error
	Part(name, part string, data any) (string, error)
	SetSession(w http.ResponseWriter, cookie string, expires time.Time)
	EndSession(w http.ResponseWriter)
	SessionHash(r *http.Request) string
}

// Links derives what an invitation offers.
type Links interface {
	Hash(purpose, text string) string
}

// PagesConfig is what Pages are made of.
type PagesConfig struct {
	Desk     *Service
	Accounts Accounts
	Wire     WireStore
	Reach    Reacher // nil: nobody counts here
	Aside    Aside
	Trail    Trail
	Replay   Replay
	Floor    PageFloor
	Links    Links
	// OnWake calls fn when another process stored a story; nil: polling alone.
	OnWake func(topic string, fn func()) (cancel func(), err error)
	Logger *slog.Logger
	Now    func() time.Time
}

// Pages are the desk's pages for editors.
type Pages struct {
	desk     *Service
	reach    Reacher
	accounts Accounts
	floor    PageFloor
	links    Links
	guard    *guard
	wire     *wire
	aside    Aside
	trail    Trail
	replay   Replay
	log      *slog.Logger
	now      func() time.Time
	reaches  *shared[Reach]
	statuses *shared[string]
}

// NewPages makes them; Run feeds the open ones.
func NewPages(c PagesConfig) *Pages {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Pages{desk: c.Desk, reach: c.Reach, accounts: c.Accounts, floor: c.Floor, links: c.Links, guard: newGuard(c.Now), aside: c.Aside, trail: c.Trail, replay: c.Replay,
		log: c.Logger.With("component", "desk"), now: c.Now,
		reaches: newShared[Reach](reachFresh, c.Now), statuses: newShared[string](watchEvery/2, time.Now)} // by the clock of the tickers
	p.wire = newWire(c.Wire, p.item, c.OnWake, p.log)
	return p
}

// Routes puts the pages on the mux.
func (p *Pages) Routes(mux *http.ServeMux) {
	mux.Handle("GET /desk/signin", p.floor.Page(p.getSignIn))
	mux.Handle("POST /desk/signin", p.floor.Page(p.postSignIn))
	mux.Handle("POST /desk/signout", p.signedIn(p.postSignOut))
	mux.Handle("GET /desk/join/{token}", p.floor.Page(p.getJoin))
	mux.Handle("POST /desk/join/{token}", p.floor.Page(p.postJoin))
	mux.Handle("GET /desk", p.signedIn(p.getWire))
	mux.Handle("GET /desk/wire/events", p.stream(p.getWireEvents))
	mux.Handle("POST /desk/raise", p.signedIn(p.postRaise))
	mux.Handle("GET /desk/alerts", p.signedIn(p.getAlertList))
	mux.Handle("GET /desk/alerts/{id}", p.signedIn(p.getAlertPage))
	mux.Handle("GET /desk/alerts/{id}/events", p.stream(p.getAlertEvents))
	mux.Handle("POST /desk/alerts/{id}/{step}", p.signedIn(p.postStep))
	mux.Handle("GET /desk/aside", p.signedIn(p.getAside))
	mux.Handle("GET /desk/audit", p.signedIn(p.getTrail))
	mux.Handle("POST /desk/aside/{id}/replay", p.signedIn(p.postReplay))
}

// Run feeds the open pages until ctx ends.
func (p *Pages) Run(ctx context.Context) error { return p.wire.run(ctx) }

// sentence is what a form says of an error: its faults, one after the other.
func sentence(err error) string {
	var invalid *news.InvalidError
	if errors.As(err, &invalid) {
		parts := make([]string, 0, len(invalid.Problems))
		for _, q := range invalid.Problems {
			parts = append(parts, capital(q.Path)+" "+q.Message+".")
		}
		return strings.Join(parts, " ")
	}
	text := web.PublicText(err)
	if _, said, found := strings.Cut(text, ": "); found {
		text = said
	}
	return capital(text) + "."
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
