package web

import (
	"net/http"
	"time"
)

// securityHeaders go out with every answer. A handler may overwrite one where
// its page needs it (the demo's outbox shows mails, whose styles are inline).
func (f *Floor) securityHeaders(h http.Header) {
	// reliability.md, security requirements. form-action is named because
	// default-src does not cover it.
	h.Set("Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	// Links carry tokens: no page may learn where its reader came from.
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if f.https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// NewServer makes a server that a slow or greedy client can't hold: 5 s for
// the headers (slowloris), 64 KB of them, 30 s for the body, 60 s for the
// answer. Handlers that need longer call NoDeadline.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
