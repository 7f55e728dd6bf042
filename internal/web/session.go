package web

import (
	"crypto/rand"
	"net/http"
	"time"
)

// sessionCookie names the cookie of a sign-in. With https it has the prefix
// that keeps other hosts and plain http from setting it (RFC 6265bis 4.1.3.2).
func (f *Floor) sessionCookie() string {
	if f.https {
		return "__Host-desk"
	}
	return "desk"
}

// NewSession makes a cookie, and what the store keeps of it. A sign-in always
// gets a new one, so that nobody can plant theirs.
func NewSession() (cookie, hash string) {
	cookie = rand.Text() + rand.Text() // 260 bits
	return cookie, HashKey(cookie)
}

// SetSession gives the browser the cookie; it ends with the session.
func (f *Floor) SetSession(w http.ResponseWriter, cookie string, expires time.Time) {
	//nolint:gosec // Secure wherever the desk is https; on http://localhost it would not be kept
	http.SetCookie(w, &http.Cookie{Name: f.sessionCookie(), Value: cookie, Path: "/", Expires: expires,
		HttpOnly: true, Secure: f.https, SameSite: http.SameSiteLaxMode})
}

// EndSession takes the cookie away.
func (f *Floor) EndSession(w http.ResponseWriter) { f.SetSession(w, "", time.Unix(1, 0)) }

// SessionHash is HashKey of the cookie that came with the request; "" when
// none did.
func (f *Floor) SessionHash(r *http.Request) string {
	c, err := r.Cookie(f.sessionCookie())
	if err != nil || c.Value == "" {
		return ""
	}
	return HashKey(c.Value)
}
