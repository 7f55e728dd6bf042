package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
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
	SetState(w http.ResponseWriter, state string, expires time.Time)
	State(r *http.Request) string
}

// Links derives what an invitation offers.
type Links interface {
	Hash(purpose, text string) string
}

// PagesConfig is what Pages are made of.
type PagesConfig struct {
	Desk     *Service
	Accounts Accounts
	Keyring  Keyring // nil: no account pages, no passkeys, no provider
	People   People  // nil: no page for chiefs
	Wire     WireStore
	Reach    Reacher // nil: nobody counts here
	Past     Past    // nil: nothing is compared with earlier alerts
	Progress Watcher // nil: nothing is sent from here
	Aside    Aside
	Trail    Trail
	Replay   Replay
	Floor    PageFloor
	Links    Links
	// Publisher is what the readers' app is called on a home screen.
	Publisher string
	// Origin is where browsers find the pages, such as https://desk.example: what
	// passkeys and the way back from a provider are bound to.
	Origin string
	OIDC   *OIDC // nil: passwords and passkeys alone
	// Phones are called through Sender; nil: nobody can be called.
	Phones PhoneStore
	Sender PushSender
	// Root is the path the pages are under; "" is /desk. The floor's is the same.
	Root string
	// Drill says that these are a drill's pages: whoever is not signed in is sent
	// to the desk to do so, and nothing of an account can be changed here.
	Drill bool
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
	origin   string
	keyring  Keyring
	passkeys passkeys
	provider *provider
	people   People
	roll     *rollcall
	onWake   func(topic string, fn func()) (cancel func(), err error)
	guard    *guard
	wire     *wire
	aside    Aside
	trail    Trail
	replay   Replay
	phones   PhoneStore
	sender   PushSender
	bell     *bell
	root     string
	drill    bool
	log      *slog.Logger
	now      func() time.Time
	reaches  *shared[Reach]
	statuses *shared[watched]
	charts   *shared[string]

	progress   Watcher
	progresses *shared[Progress]
	finals     *shared[Progress] // of what is over

	usuals    *shared[[]int]
	past      Past
	publisher string

	// Of the digest's editions; a press here makes editionTurn grow.
	editionLists *shared[editionsNow]
	accountsOf   *shared[news.EditionAccount]
	editionTurn  atomic.Int64
	letters      *letters
	testMails    *web.Limiter
}

// NewPages makes them; Run feeds the open ones.
func NewPages(c PagesConfig) *Pages {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Pages{desk: c.Desk, reach: c.Reach, accounts: c.Accounts, floor: c.Floor, links: c.Links,
		origin: c.Origin, keyring: c.Keyring, passkeys: newPasskeys(c.Origin), people: c.People, roll: newRollcall(), onWake: c.OnWake,
		guard: newGuard(c.Now), aside: c.Aside, trail: c.Trail, replay: c.Replay, root: cmp.Or(c.Root, web.DeskPath), drill: c.Drill,
		log: c.Logger.With("component", "desk"), now: c.Now,
		reaches: newShared[Reach](reachFresh, c.Now), statuses: newShared[watched](watchEvery/2, time.Now), // by the clock of the tickers
		charts: newShared[string](chartFresh, time.Now), progress: c.Progress, progresses: newShared[Progress](chartFresh, time.Now),
		finals: newShared[Progress](finalFresh, c.Now),
		usuals: newShared[[]int](usualFresh, c.Now), past: c.Past, publisher: cmp.Or(c.Publisher, "Dateline")}
	if c.Keyring != nil {
		p.provider = newProvider(c.OIDC, c.Origin+p.root+"/signin/oidc/callback", c.Now)
	}
	p.phones, p.sender = c.Phones, c.Sender
	p.editionLists, p.accountsOf = newShared[editionsNow](editionsFresh, time.Now), newShared[news.EditionAccount](editionsFresh, time.Now)
	p.letters, p.testMails = newLetters(c.Now), web.NewLimiter("test mails", testsPerMinute, time.Minute, c.Now)
	p.bell = newBell(p, c.OnWake)
	p.wire = newWire(c.Wire, p.item, c.OnWake, p.log)
	return p
}

// Routes puts the pages on the mux.
func (p *Pages) Routes(mux *http.ServeMux) {
	if !p.drill {
		p.accountRoutes(mux)
		p.keyringRoutes(mux)
		p.newsroomRoutes(mux)
	}
	p.editionRoutes(mux)
	mux.Handle("GET "+p.root, p.signedIn(p.getWire))
	mux.Handle("GET "+p.root+"/wire/events", p.stream(p.getWireEvents))
	mux.Handle("POST "+p.root+"/raise", p.signedIn(p.postRaise))
	mux.Handle("GET "+p.root+"/alerts", p.signedIn(p.getAlertList))
	mux.Handle("GET "+p.root+"/alerts/{id}", p.signedIn(p.getAlertPage))
	mux.Handle("GET "+p.root+"/alerts/{id}/preview", p.signedIn(p.getPreview))
	mux.Handle("GET "+p.root+"/alerts/{id}/events", p.stream(p.getAlertEvents))
	mux.Handle("POST "+p.root+"/alerts/{id}/{step}", p.signedIn(p.postStep))
	mux.Handle("GET "+p.root+"/events", p.stream(p.getEvents))
	mux.Handle("GET "+p.root+"/caps", p.signedIn(p.getCaps))
	mux.Handle("POST "+p.root+"/caps", p.signedIn(p.postCaps))
	mux.Handle("GET "+p.root+"/phone", p.signedIn(p.getPhone))
	mux.Handle("POST "+p.root+"/phone", p.signedIn(p.postPhone))
	mux.Handle("POST "+p.root+"/phone/test", p.signedIn(p.postPhoneTest))
	mux.Handle("POST "+p.root+"/phone/{id}/remove", p.signedIn(p.postPhoneRemove))
	mux.Handle("GET "+p.root+"/sw.js", p.worker())
	mux.Handle("GET "+p.root+"/aside", p.signedIn(p.getAside))
	mux.Handle("GET "+p.root+"/audit", p.signedIn(p.getTrail))
	mux.Handle("POST "+p.root+"/aside/{id}/replay", p.signedIn(p.postReplay))
	mux.Handle("POST "+p.root+"/aside/{id}/dismiss", p.signedIn(p.postDismiss))
}

// accountRoutes are the pages that change accounts and sign-ins. A drill has
// none: it knows editors by the desk's sessions.
func (p *Pages) accountRoutes(mux *http.ServeMux) {
	mux.Handle("GET "+p.root+"/signin", p.floor.Page(p.getSignIn))
	mux.Handle("POST "+p.root+"/signin", p.floor.Page(p.postSignIn))
	mux.Handle("POST "+p.root+"/signout", p.signedIn(p.postSignOut))
	mux.Handle("GET "+p.root+"/join/{token}", p.floor.Page(p.getJoin))
	mux.Handle("POST "+p.root+"/join/{token}", p.floor.Page(p.postJoin))
}

// Run feeds the open pages until ctx ends.
func (p *Pages) Run(ctx context.Context) error {
	if p.onWake != nil {
		cancel, err := p.onWake(topicPeople, p.roll.call)
		if err != nil {
			return fmt.Errorf("desk: wake-ups of the roll-call: %w", err)
		}
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.bell.run(ctx) })
	defer wg.Wait()
	defer cancel()
	return p.wire.run(ctx)
}

// sentence is what a form says of an error: its faults, one after the other.
func sentence(err error) string {
	var invalid *news.InvalidError
	if errors.As(err, &invalid) {
		parts := make([]string, 0, len(invalid.Problems))
		for _, q := range invalid.Problems {
			parts = append(parts, capital(strings.TrimSpace(pathWords(q.Path)+" "+q.Message))+".")
		}
		return strings.Join(parts, " ")
	}
	text := web.PublicText(err)
	if _, said, found := strings.Cut(text, ": "); found {
		text = said
	}
	return capital(text) + "."
}

// pathWords is what an editor calls the place of a fault.
func pathWords(path string) string {
	kind, rest, _ := strings.Cut(path, "/")
	switch kind {
	case "texts":
		l, field, _ := strings.Cut(rest, "/")
		if l == "" {
			return "the text"
		}
		if field == "" {
			field = "text"
		}
		return "the " + strings.ReplaceAll(field, "body", "text") + " in " + languageName(l)
	case "sections":
		return "a section"
	case "scopes":
		return "" // its words say which
	case "notes":
		return "the note in " + languageName(rest)
	case "pins":
		return "a pinned story"
	case "drops":
		return "a story to be left out"
	}
	return path
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
