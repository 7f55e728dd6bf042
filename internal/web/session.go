package web

import (
	"crypto/rand"
	"net/http"
	"time"
)

// The cookies: of a sign-in, and of one that is away at an OpenID provider.
const (
	sessionCookie = "desk"
	stateCookie   = "desk-state"
)

// cookieName gives a cookie, with https, the prefix that keeps other hosts and
// plain http from setting it (RFC 6265bis 4.1.3.2).
func (f *Floor) cookieName(name string) string {
	if f.https {
		return "__Host-" + name
	}
	return name
}

// NewSession makes a cookie, and what the store keeps of it. A sign-in always
// gets a new one, so that nobody can plant theirs.
func NewSession() (cookie, hash string) {
	cookie = rand.Text() + rand.Text() // 260 bits
	return cookie, HashKey(cookie)
}

// SetSession gives the browser the cookie; it ends with the session.
func (f *Floor) SetSession(w http.ResponseWriter, cookie string, expires time.Time) {
	f.setCookie(w, sessionCookie, cookie, expires)
}

// SetState binds a sign-in at a provider to the browser that began it.
func (f *Floor) SetState(w http.ResponseWriter, state string, expires time.Time) {
	f.setCookie(w, stateCookie, state, expires)
}

// State is what SetState gave this browser; "" when nothing.
func (f *Floor) State(r *http.Request) string {
	c, err := r.Cookie(f.cookieName(stateCookie))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie is Lax: a browser that comes back from the provider brings it along.
func (f *Floor) setCookie(w http.ResponseWriter, name, value string, expires time.Time) {
	//nolint:gosec // Secure wherever the desk is https; on http://localhost it would not be kept
	http.SetCookie(w, &http.Cookie{Name: f.cookieName(name), Value: value, Path: "/", Expires: expires,
		HttpOnly: true, Secure: f.https, SameSite: http.SameSiteLaxMode})
}

// EndSession takes the cookie away.
func (f *Floor) EndSession(w http.ResponseWriter) { f.SetSession(w, "", time.Unix(1, 0)) }

// SessionHash is HashKey of the cookie that came with the request; "" when
// none did.
func (f *Floor) SessionHash(r *http.Request) string {
	c, err := r.Cookie(f.cookieName(sessionCookie))
	if err != nil || c.Value == "" {
		return ""
	}
	return HashKey(c.Value)
}
