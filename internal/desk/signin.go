package desk

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Accounts is where editors' accounts and sign-ins are kept.
type Accounts interface {
	Invited(ctx context.Context, hash string) (editor string, err error)
	Join(ctx context.Context, hash string, a news.Account) error
	Account(ctx context.Context, editor string) (news.Account, error)
	SignIn(ctx context.Context, a news.Account, step int64, hash string, expires time.Time) error
	UseCode(ctx context.Context, a news.Account, step int64) error
	Session(ctx context.Context, hash string) (news.Session, error)
	SignOut(ctx context.Context, hash string) error
	SignOutEverywhere(ctx context.Context, editor, by string) error
}

const (
	inviteFor = 48 * time.Hour
	// sessionFor is a long shift. A sign-in is not prolonged: whoever sits at
	// the desk proves once a day who she is.
	sessionFor = 12 * time.Hour
	// triesPerMinute bounds guesses at one account from one network, and from
	// one network at all. Nobody is locked out from elsewhere (T76).
	triesPerMinute    = 10
	triesOfAllAtOnce  = 60
	callsPerMinute    = 5 // of her own phones, to try them
	passwordsInMemory = 4 // hashed at once, 19 MiB each
	formLimit         = 16 << 10
)

// guard is what a sign-in has to pass before its password is looked at.
type guard struct {
	account, network *web.Limiter
	// codes and calls are of who is signed in, by name: strangers can't use them
	// up. A stolen session guesses no faster from many networks.
	codes, calls *web.Limiter
	hashing      chan struct{}
}

// nobodysPassword is the hash of no account: a name that does not exist takes
// as long as one that does.
const nobodysPassword = "$argon2id$v=19$m=19456,t=2,p=1$CQP0Ec1wROzaq2GtSkcSDw$r76gjteM4J/EXLUi+ZH8Wz43SH25x2DTiZdjBnrdlhg" //nolint:gosec // the hash of words that were thrown away

func newGuard(now func() time.Time) *guard {
	return &guard{account: web.NewLimiter("sign-ins", triesPerMinute, time.Minute, now),
		network: web.NewLimiter("sign-ins", triesOfAllAtOnce, time.Minute, now),
		codes:   web.NewLimiter("codes", triesPerMinute, time.Minute, now),
		calls:   web.NewLimiter("test calls", callsPerMinute, time.Minute, now),
		hashing: make(chan struct{}, passwordsInMemory)}
}

func (g *guard) admit(client, editor string) error {
	if err := g.network.Take(client); err != nil {
		return err
	}
	return g.account.Take(client + " " + strings.ToLower(editor))
}

// isPassword waits for its turn.
func (g *guard) isPassword(ctx context.Context, password, hash string) (bool, error) {
	select {
	case g.hashing <- struct{}{}:
		defer func() { <-g.hashing }()
		return isPassword(password, hash), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// errSignIn says nothing of which of the three was wrong.
var errSignIn = fmt.Errorf("%w: name, password or code do not fit, or the code was used already; wait for the next code and try again", news.ErrForbidden)

// signIn checks name, password and code and begins the session of the hash.
func (p *Pages) signIn(ctx context.Context, client, name, password, code, hash string) (news.Session, error) {
	name, err := editorName(name)
	if err != nil {
		name = "" // what can't be a name is nobody's, and takes as long
	}
	if err := p.guard.admit(client, name); err != nil {
		return news.Session{}, err
	}
	account, err := p.accounts.Account(ctx, name)
	unknown := errors.Is(err, news.ErrNotFound)
	if err != nil && !unknown {
		return news.Session{}, fmt.Errorf("desk: sign in: %w", err)
	}
	if unknown {
		account.Password = nobodysPassword
	}
	fits, err := p.guard.isPassword(ctx, password, account.Password)
	if err != nil {
		return news.Session{}, err
	}
	now := p.now()
	step, current := usedStep(account.Secret, code, account.Step, now)
	if unknown || !fits || !current {
		return news.Session{}, errSignIn
	}
	s := news.Session{Editor: account.Editor, Role: account.Role, CreatedAt: now, ExpiresAt: now.Add(sessionFor)}
	err = p.accounts.SignIn(ctx, account, step, hash, s.ExpiresAt)
	if errors.Is(err, news.ErrConflict) {
		return news.Session{}, errSignIn
	}
	return s, err
}

// signInView is the page "desk/signin".
type signInView struct {
	Title, Name, Next, Problem string
	Joined                     bool // a moment ago: the code is used up
	Passkeys                   passkeyOffer
	Provider                   string // the host of the OpenID provider; "" when there is none
}

func (p *Pages) signInView(next string) signInView {
	return signInView{Title: "Sign in", Next: p.nextPage(next), Passkeys: p.passkeyOffer(), Provider: p.provider.host()}
}

func (p *Pages) getSignIn(w http.ResponseWriter, r *http.Request) error {
	view := p.signInView(r.URL.Query().Get("next"))
	view.Name = r.URL.Query().Get("joined")
	view.Joined = view.Name != ""
	return p.floor.Render(w, http.StatusOK, "desk/signin", view)
}

func (p *Pages) postSignIn(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	view := p.signInView(r.PostFormValue("next"))
	view.Name = strings.TrimSpace(r.PostFormValue("name"))
	cookie, hash := web.NewSession()
	s, err := p.signIn(r.Context(), web.ClientKey(r), view.Name, r.PostFormValue("password"), r.PostFormValue("code"), hash)
	if err != nil {
		return p.refuseSignIn(w, view, err)
	}
	p.enter(w, r, cookie, s.ExpiresAt, view.Next)
	return nil
}

// refuseSignIn shows the form again with what went wrong.
func (p *Pages) refuseSignIn(w http.ResponseWriter, view signInView, err error) error {
	var limit *news.LimitError
	if !errors.Is(err, news.ErrForbidden) && !errors.As(err, &limit) {
		return err
	}
	view.Problem = sentence(err)
	return p.floor.Render(w, web.StatusOf(err), "desk/signin", view)
}

// enter gives the browser the cookie of a sign-in that has begun, and ends the
// one it had.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request, cookie string, expires time.Time, next string) {
	if old := p.floor.SessionHash(r); old != "" { // nobody has its cookie any more
		if err := p.accounts.SignOut(r.Context(), old); err != nil {
			p.log.Warn("the session that a sign-in replaced goes on until it expires", "error", err)
		}
		p.rollcall()
	}
	p.floor.SetSession(w, cookie, expires)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (p *Pages) postSignOut(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	var err error
	if hash := p.floor.SessionHash(r); r.PostFormValue("everywhere") == "" {
		err = p.accounts.SignOut(r.Context(), hash)
	} else if by := web.PersonFrom(r.Context()); by.Name != "" {
		err = p.accounts.SignOutEverywhere(r.Context(), by.Name, by.Name)
	}
	if err != nil {
		return err
	}
	p.rollcall()
	p.floor.EndSession(w)
	http.Redirect(w, r, p.root+"/signin", http.StatusSeeOther)
	return nil
}

// signedIn makes a page for editors who are signed in; others are asked to
// sign in and come back.
func (p *Pages) signedIn(h web.Handler) http.Handler {
	return p.admitted(p.explained(h), func(w http.ResponseWriter, r *http.Request) error {
		target := p.root + "/signin"
		if p.drill {
			target = web.DeskPath + "/signin"
		}
		http.Redirect(w, r, target+"?next="+url.QueryEscape(p.pageOf(r)), http.StatusSeeOther)
		return nil
	})
}

// pageOf is the page that a request asked for, or whose form it sent.
func (p *Pages) pageOf(r *http.Request) string {
	if r.Method == http.MethodGet {
		return r.URL.RequestURI()
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), p.root+"/"), "/")
	switch {
	case parts[0] == "alerts" && len(parts) > 1:
		return p.root + "/alerts/" + parts[1]
	case slices.Contains([]string{"phone", "caps", "aside", "newsroom", "account", "drill", "editions", "digest"}, parts[0]):
		return p.root + "/" + parts[0]
	}
	return p.root // raising is done on the wire
}

// stream makes a live stream for editors who are signed in. A script can't
// follow others to a form, so it is told that the session is over.
func (p *Pages) stream(h web.Handler) http.Handler {
	begin := func(then web.Handler) web.Handler {
		return func(w http.ResponseWriter, r *http.Request) error {
			web.NoDeadline(w)
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
			return then(w, r)
		}
	}
	return p.admitted(begin(p.rung(h)), begin(func(w http.ResponseWriter, _ *http.Request) error {
		_ = p.push(w, endOfSession)
		return nil
	}))
}

// admitted runs h for who is signed in, else out.
func (p *Pages) admitted(h, out web.Handler) http.Handler {
	return p.floor.Page(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		by, err := p.person(r)
		if errors.Is(err, news.ErrUnknownKey) {
			return out(w, r)
		}
		if err != nil {
			return err
		}
		return h(w, r.WithContext(web.WithPerson(r.Context(), by)))
	})
}

// person is who is signed in, with the rights her role has now.
func (p *Pages) person(r *http.Request) (news.Person, error) {
	hash := p.floor.SessionHash(r)
	if hash == "" {
		return news.Person{}, news.ErrUnknownKey
	}
	s, err := p.accounts.Session(r.Context(), hash)
	if err != nil {
		return news.Person{}, err
	}
	return news.Person{Name: s.Editor, Role: s.Role, Scopes: RoleScopes(s.Role), SignedIn: true}, nil
}

// nextPage is where to go after a sign-in: a page of the desk or of a drill, nowhere else
// (T79).
func (p *Pages) nextPage(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(next, "\\\r\n") ||
		path.Clean(u.Path) != u.Path || !under(u.Path, p.root) && !under(u.Path, web.DrillPath) || strings.HasPrefix(u.Path, p.root+"/signin") {
		return p.root
	}
	return u.RequestURI()
}

func under(at, root string) bool { return at == root || strings.HasPrefix(at, root+"/") }

// joinView is the page "desk/join".
type joinView struct {
	Title, Editor, Secret, Problem string
	// QR is the path of a picture of the secret, in a square of Size units.
	QR   string
	Size int
}

func (p *Pages) getJoin(w http.ResponseWriter, r *http.Request) error {
	view, err := p.joining(r)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return p.floor.Render(w, http.StatusOK, "desk/join", view)
}

// joining is the page for an open invitation.
func (p *Pages) joining(r *http.Request) (joinView, error) {
	token := r.PathValue("token")
	editor, err := p.accounts.Invited(r.Context(), web.HashKey(token))
	if err != nil {
		return joinView{}, err
	}
	view := joinView{Title: "Join the newsroom", Editor: editor, Secret: secretText(p.secretOf(token))}
	view.QR, view.Size, err = qrPath(p.appURL(view))
	return view, err
}

// secretOf is the secret an invitation offers: the same at each look, and not
// to be found out from the link, which may stay in somebody's mail. 128 bits
// (RFC 4226 section 4, R6).
func (p *Pages) secretOf(token string) []byte {
	secret, err := hex.DecodeString(p.links.Hash("authenticator", token))
	if err != nil {
		panic("link.Hash gives hex")
	}
	return secret
}

func (p *Pages) appURL(v joinView) string {
	q := url.Values{"secret": {v.Secret}, "issuer": {"Dateline"}}
	return (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/Dateline:" + v.Editor, RawQuery: q.Encode()}).String()
}

func (p *Pages) postJoin(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if err := p.guard.network.Take(web.ClientKey(r)); err != nil {
		return err
	}
	view, err := p.joining(r)
	if err != nil {
		return err
	}
	if err := parseForm(w, r); err != nil {
		return err
	}
	err = p.join(r.Context(), r.PathValue("token"), view.Editor, r.PostFormValue("password"), r.PostFormValue("code"))
	if errors.Is(err, news.ErrInvalid) {
		view.Problem = sentence(err)
		return p.floor.Render(w, http.StatusUnprocessableEntity, "desk/join", view)
	}
	if err != nil {
		return err
	}
	p.rollcall()
	http.Redirect(w, r, p.root+"/signin?joined="+url.QueryEscape(view.Editor), http.StatusSeeOther)
	return nil
}

func (p *Pages) join(ctx context.Context, token, editor, password, code string) error {
	secret := p.secretOf(token)
	step, ok := usedStep(secret, code, 0, p.now())
	if !ok {
		return news.Invalid("code", "does not fit: type the six digits the app shows now; if they are right, the phone's clock is wrong")
	}
	hash, err := hashPassword(password, editor)
	if err != nil {
		return err
	}
	return p.accounts.Join(ctx, web.HashKey(token), news.Account{Editor: editor, Password: hash, Secret: secret, Step: step})
}

func parseForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, formLimit)
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: the form can't be read", news.ErrInvalid)
	}
	return nil
}
