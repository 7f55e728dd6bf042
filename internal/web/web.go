// Package web is the HTTP floor that the readers' site, the desk and the
// intake stand on: errors answered in one place, pages rendered into a buffer
// before the first byte leaves, keys and their scopes, limits, headers.
//
// It promises that an error of a kind it knows is answered with its status
// and its problems, that any other is answered with a bland 500 and logged;
// that no half-written page goes out; that a cross-site browser form changes
// nothing; and that neither tokens nor addresses are logged: log lines name
// the route's pattern, never the path.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"dateline/internal/news"
)

// Handler is a request handler that may fail; the floor answers the error.
// Once it has written to w it should return nil.
type Handler func(w http.ResponseWriter, r *http.Request) error

// KeyStore finds API keys. The hash is HashKey's. An unknown, expired or
// withdrawn key is news.ErrUnknownKey or news.ErrNotFound.
type KeyStore interface {
	APIKey(ctx context.Context, hash string) (news.Person, error)
}

// Where the desk's pages are (DESIGN 9), and those of a drill.
const (
	DeskPath  = "/desk"
	DrillPath = "/drill"
)

// Config is what a floor needs. Zero values are usable in tests.
type Config struct {
	// Templates holds one folder per part of the site. A folder with a
	// layout.html has pages; each of its other *.html files is one, rendered
	// as "folder/name". Files starting with "_" are shared by the folder's
	// pages. "folder/static/*" is served under /static/folder/.
	Templates fs.FS
	// Desk is the path of the desk's pages; "" is DeskPath.
	Desk string
	// Drill tells the pages whether they are a drill's, or whether one runs
	// beside them; nil: neither. It is asked at every rendering.
	Drill func() Drill
	// Funcs are extra template functions. "asset", "baseURL", "desk" and "drill"
	// exist already.
	Funcs template.FuncMap
	// BaseURL is where readers reach us, such as "https://alerts.example".
	// Links are built from it and never from a request's Host.
	BaseURL string
	// Origin is where this floor's own pages are, when that is not BaseURL: the
	// desk's listener. Forms are taken from it, and cookies bound to it.
	Origin string
	// Front is the path that an error page leads back to; "" is "/".
	Front  string
	Logger *slog.Logger
	// TrustedProxies may say whom they speak for (X-Forwarded-For).
	TrustedProxies []netip.Prefix
	// AdminKey holds all scopes and acts as the system. "" : there is none.
	AdminKey string
	Keys     KeyStore // nil: only the admin key
	Now      func() time.Time
	// Observe is told of every answered request, for metrics. nil: nobody is.
	Observe func(pattern string, status int, took time.Duration)
}

// Drill is what a page has to say of a drill, so that nobody takes a rehearsal
// for the real thing, or the real thing for a rehearsal.
type Drill struct {
	Here      bool   // these pages are the drill's own
	Running   bool   // one runs beside these pages
	Since, By string // when it began, and who began it
}

// Floor is the HTTP floor.
type Floor struct {
	config Config
	log    *slog.Logger
	pages  map[string]*template.Template
	assets *assets
	errors map[int][]byte // in English
	// errorView words the error page, errorPage, for one request; nil: English.
	errorView func(r *http.Request, status int) ErrorView
	errorPage *template.Template
	origins   *http.CrossOriginProtection
	https     bool
}

// New parses every template and pre-renders the error pages, so that a broken
// one is found at the start and not by a reader.
func New(c Config) (*Floor, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.BaseURL, c.Origin, c.Front = strings.TrimRight(c.BaseURL, "/"), strings.TrimRight(c.Origin, "/"), cmp.Or(c.Front, "/")
	f := &Floor{config: c, log: c.Logger.With("component", "web"), origins: http.NewCrossOriginProtection()}
	own, err := originOf(cmp.Or(c.Origin, c.BaseURL))
	if err == nil && c.Origin != "" {
		_, err = originOf(c.BaseURL)
	}
	if err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	f.https = strings.HasPrefix(own, "https:")
	if own != "" { // behind a proxy that changes Host, our own pages are still our own
		if err := f.origins.AddTrustedOrigin(own); err != nil {
			return nil, fmt.Errorf("web.New: origin %q: %w", own, err)
		}
	}
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	return f, nil
}

// originOf is scheme and host of an address; "" of none.
func originOf(address string) (string, error) {
	if address == "" {
		return "", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", fmt.Errorf("base URL %q: must be http(s)://host[:port]", address)
	}
	return u.Scheme + "://" + u.Host, nil
}

// BaseURL is where readers reach us, without a slash at its end.
func (f *Floor) BaseURL() string { return f.config.BaseURL }

// Handler puts the floor under a mux: client address, security headers,
// panics, the access log, and our own 404 and 405. Everything that listens
// is wrapped in it once.
func (f *Floor) Handler(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := f.config.Now()
		r = r.WithContext(withClient(r.Context(), clientAddr(r, f.config.TrustedProxies)))
		f.securityHeaders(w.Header())
		rec := &recorder{ResponseWriter: w, asked: askedBy(r)}
		defer func() {
			if p := recover(); p != nil {
				f.panicked(rec, r, p)
			}
			f.observe(r, rec.code(), f.config.Now().Sub(start))
		}()
		f.route(mux, rec, r)
	})
}

// route answers with the mux, or with our own page where it has no route.
func (f *Floor) route(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	h, pattern := mux.Handler(r)
	if pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	// The mux's own 404 or 405 (which knows the methods a path allows).
	probe := probe{http.Header{}}
	h.ServeHTTP(probe, r)
	err := fmt.Errorf("%w: there is nothing at this address", news.ErrNotFound)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		err = Status(http.StatusMethodNotAllowed, fmt.Errorf("this address does not take %s; it takes %s", r.Method, allow))
	}
	f.answer(w, r, err)
}

// answer answers an error that no handler did in the form of the place it
// happened at.
func (f *Floor) answer(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		f.answerAPI(w, r, err)
		return
	}
	f.answerPage(w, r, err)
}

func (f *Floor) observe(r *http.Request, status int, took time.Duration) {
	level := slog.LevelDebug
	if status >= 500 {
		level = slog.LevelWarn
	}
	f.log.LogAttrs(r.Context(), level, "answered", slog.String("method", r.Method), slog.String("route", r.Pattern),
		slog.Int("status", status), slog.Duration("took", took))
	if f.config.Observe != nil {
		f.config.Observe(r.Pattern, status, took)
	}
}

func (f *Floor) panicked(w *recorder, r *http.Request, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	// The value may quote a request; its type and the route are enough to find it.
	f.log.Error("panic in a handler", "route", r.Pattern, "type", fmt.Sprintf("%T", p), "stack", stack())
	if w.status == 0 {
		f.answer(w, r, fmt.Errorf("panic in %s", r.Pattern))
	}
}

// Page makes a page handler: errors are answered with an HTML page, and a
// cross-site browser form is refused. A POST that comes without browser
// headers passes, as RFC 8058 one-click unsubscribing needs.
func (f *Floor) Page(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f.origins.Check(r)
		if err != nil {
			err = fmt.Errorf("%w: this form was sent from another site", news.ErrForbidden)
		} else {
			err = h(w, r)
		}
		if err != nil {
			f.answerPage(w, r, err)
		}
	})
}

// API makes a handler of a machine door: errors are answered as RFC 9457
// problems. A scope asks for a bearer key that holds it, "" for none.
func (f *Floor) API(scope string, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		r, err := f.admit(r, scope)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			f.answerAPI(w, r, err)
		}
	})
}

func (f *Floor) admit(r *http.Request, scope string) (*http.Request, error) {
	if err := f.origins.Check(r); err != nil {
		return r, fmt.Errorf("%w: browsers may call this from our own pages only", news.ErrForbidden)
	}
	if scope == "" {
		return r, nil
	}
	person, err := f.person(r)
	if err != nil {
		return r, err
	}
	if !person.May(scope) {
		return r, fmt.Errorf("%w: this key does not hold the scope %s", news.ErrForbidden, scope)
	}
	return r.WithContext(WithPerson(r.Context(), person)), nil
}
