package desk

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"dateline/internal/news"
	"dateline/internal/web"
)

// OIDC is an OpenID provider that editors may sign in through, as well as with
// a password or a passkey.
type OIDC struct {
	Issuer, ClientID, ClientSecret string
	Client                         *http.Client // nil: one that gives up after providerPatience
}

const (
	// providerPatience bounds a question to the provider: an editor waits for it.
	providerPatience = 10 * time.Second
	// providerPause is how long a provider that did not answer is left alone.
	providerPause = 5 * time.Second
	purposeOIDC   = "oidc"
)

// provider is asked for its addresses at the first use and not at the start:
// while it is down, passwords and passkeys still open the desk.
type provider struct {
	c        OIDC
	redirect string
	now      func() time.Time

	mu    sync.Mutex
	found *oidc.Provider
	again time.Time // not asked before
}

func newProvider(c *OIDC, redirect string, now func() time.Time) *provider {
	if c == nil {
		return nil
	}
	o := &provider{c: *c, redirect: redirect, now: now}
	if o.c.Client == nil {
		o.c.Client = &http.Client{Timeout: providerPatience}
	}
	return o
}

// host is how pages name the provider; "" when there is none.
func (o *provider) host() string {
	if o == nil {
		return ""
	}
	u, err := url.Parse(o.c.Issuer)
	if err != nil {
		return o.c.Issuer
	}
	return u.Host
}

var errProvider = fmt.Errorf("%w: the sign-in service does not answer; use your password or a passkey, or try again in a minute", news.ErrForbidden)

// discover finds the provider's addresses and keys.
func (o *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.found != nil {
		return o.found, nil
	}
	if o.now().Before(o.again) {
		return nil, errProvider
	}
	// A browser that leaves meanwhile says nothing of the provider: whoever asked
	// and left, again and again, would keep everybody else out.
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), o.c.Client), providerPatience)
	defer cancel()
	found, err := oidc.NewProvider(ctx, o.c.Issuer)
	if err != nil {
		o.again = o.now().Add(providerPause)
		return nil, fmt.Errorf("%w (%w)", errProvider, err)
	}
	o.found = found
	return found, nil
}

func (o *provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: o.c.ClientID, ClientSecret: o.c.ClientSecret, Endpoint: found.Endpoint(),
		RedirectURL: o.redirect, Scopes: []string{oidc.ScopeOpenID}}
}

// away is what is kept while a browser is at the provider.
type away struct {
	Nonce, Verifier, Next string
}

// send keeps a sign-in and gives the address at the provider that it goes on
// at. editor is who links her account; "" for a sign-in.
func (p *Pages) send(w http.ResponseWriter, r *http.Request, editor, next string) (string, error) {
	found, err := p.provider.discover(r.Context())
	if err != nil {
		return "", err
	}
	state, a := rand.Text(), away{Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next}
	detail, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("desk: begin at the provider: %w", err)
	}
	expires := p.now().Add(ceremonyFor)
	if err := p.keyring.BeginCeremony(r.Context(), web.HashKey(state), news.Ceremony{Purpose: purposeOIDC, Editor: editor,
		Detail: string(detail), ExpiresAt: expires}); err != nil {
		return "", err
	}
	p.floor.SetState(w, state, expires)
	return p.provider.oauth(found).AuthCodeURL(state, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// getProvider sends a browser to the provider. It is a link and no form: the
// policy of our pages lets no form lead to another site.
func (p *Pages) getProvider(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	view := p.signInView(r.URL.Query().Get("next"))
	err := p.guard.network.Take(web.ClientKey(r))
	var to string
	if err == nil {
		to, err = p.send(w, r, "", view.Next)
	}
	if err != nil {
		return p.refuseIdentity(w, view, err)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// linkView is the page "desk/link".
type linkView struct {
	Title    string
	By       news.Person
	Provider string
	To       string
}

// postIdentity begins to link the editor's account at the provider, after a
// fresh code of her app.
func (p *Pages) postIdentity(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	by := web.PersonFrom(r.Context())
	err := p.prove(r, by.Name)
	var to string
	if err == nil {
		to, err = p.send(w, r, by.Name, p.root+"/account")
	}
	if err != nil && isRefusal(err) {
		return p.showAccount(w, r, err)
	}
	if err != nil {
		return err
	}
	return p.floor.Render(w, http.StatusOK, "desk/link", linkView{Title: "Link your account", By: by, Provider: p.provider.host(), To: to})
}

// getCallback takes a browser that comes back.
func (p *Pages) getCallback(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	view := p.signInView("")
	if err := p.guard.network.Take(web.ClientKey(r)); err != nil {
		return p.refuseSignIn(w, view, err)
	}
	c, a, err := p.back(r)
	if err != nil {
		return p.refuseIdentity(w, view, err)
	}
	p.floor.SetState(w, "", time.Unix(1, 0))
	view = p.signInView(a.Next)
	token, err := p.identity(r, a)
	if err != nil {
		return p.refuseIdentity(w, view, err)
	}
	if c.Editor != "" {
		return p.link(w, r, c.Editor, token)
	}
	cookie, hash := web.NewSession()
	expires := p.now().Add(sessionFor)
	_, err = p.keyring.SignInByIdentity(r.Context(), token.Issuer, token.Subject, hash, expires)
	if err != nil {
		return p.refuseIdentity(w, view, err)
	}
	p.enter(w, r, cookie, expires, view.Next)
	return nil
}

var (
	errState   = fmt.Errorf("%w: this sign-in was not begun in this browser, was used already, or waited too long; begin again", news.ErrForbidden)
	errToken   = fmt.Errorf("%w: the sign-in service's answer does not hold; begin again, or use your password", news.ErrForbidden)
	errRefused = fmt.Errorf("%w: the sign-in service did not let you in; try again, or use your password", news.ErrForbidden)
	errNobodys = fmt.Errorf("%w: your account there is not linked to an editor here; sign in with your password or a passkey, and link it under Account", news.ErrForbidden)
)

// back finds what a browser that comes back was sent away with: the state is
// good once, and in this browser alone.
func (p *Pages) back(r *http.Request) (news.Ceremony, away, error) {
	var a away
	state := r.URL.Query().Get("state")
	if state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(p.floor.State(r))) != 1 {
		return news.Ceremony{}, a, errState
	}
	c, err := p.keyring.TakeCeremony(r.Context(), web.HashKey(state), purposeOIDC)
	if errors.Is(err, news.ErrGone) {
		return c, a, errState
	}
	if err == nil {
		err = json.Unmarshal([]byte(c.Detail), &a)
	}
	return c, a, err
}

// identity trades the code for a token and holds it against what was asked.
func (p *Pages) identity(r *http.Request, a away) (*oidc.IDToken, error) {
	q := r.URL.Query()
	// RFC 9207: an answer that names another issuer belongs to another sign-in.
	if iss := q.Get("iss"); iss != "" && iss != p.provider.c.Issuer {
		return nil, errToken
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return nil, errRefused
	}
	found, err := p.provider.discover(r.Context())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), p.provider.c.Client), providerPatience)
	defer cancel()
	tokens, err := p.provider.oauth(found).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		p.log.Warn("the OpenID provider did not trade the code", "error", withoutSecrets(err))
		return nil, errToken
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.provider.c.ClientID, Now: p.now,
		SupportedSigningAlgs: []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}}).Verify(ctx, raw)
	if err != nil {
		p.log.Warn("the OpenID provider's token does not hold", "error", err)
		return nil, errToken
	}
	var claims struct {
		Azp string `json:"azp"`
	}
	if err := token.Claims(&claims); err != nil || claims.Azp != "" && claims.Azp != p.provider.c.ClientID ||
		token.Subject == "" || subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.Nonce)) != 1 {
		return nil, errToken
	}
	return token, nil
}

// withoutSecrets is what may be logged of a refused trade: the provider's code
// of it, not its words, which may quote what we sent.
func withoutSecrets(err error) string {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return refused.ErrorCode
	}
	return "it does not answer"
}

// link keeps the account at the provider as a way in of the editor who began
// it and is still signed in.
func (p *Pages) link(w http.ResponseWriter, r *http.Request, editor string, token *oidc.IDToken) error {
	by, err := p.person(r)
	if errors.Is(err, news.ErrUnknownKey) || err == nil && by.Name != editor {
		return p.refuseIdentity(w, p.signInView(p.root+"/account"), errState)
	}
	if err != nil {
		return err
	}
	r = r.WithContext(web.WithPerson(r.Context(), by))
	err = p.keyring.AddIdentity(r.Context(), news.Identity{Issuer: token.Issuer, Subject: token.Subject, Editor: editor}, p.floor.SessionHash(r))
	if err != nil && isRefusal(err) {
		return p.showAccount(w, r, err)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, p.root+"/account", http.StatusSeeOther)
	return nil
}

// refuseIdentity says on the sign-in page what went wrong; the log has more.
func (p *Pages) refuseIdentity(w http.ResponseWriter, view signInView, err error) error {
	switch {
	case errors.Is(err, news.ErrNotFound), errors.Is(err, news.ErrConflict):
		err = errNobodys
	case errors.Is(err, errProvider):
		p.log.Warn("the OpenID provider can't be reached", "issuer", p.provider.c.Issuer, "error", err)
		err = errProvider
	}
	return p.refuseSignIn(w, view, err)
}
