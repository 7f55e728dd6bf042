package web

import (
	"context"
	"errors"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
)

// statusError carries a status that the kinds of error do not tell.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// Status answers err with this status instead of its kind's: 422 for input
// that is well formed and still can't be done.
func Status(status int, err error) error {
	if err == nil {
		return nil
	}
	return &statusError{status, err}
}

// kind is an error kind and its HTTP status.
type kind struct {
	err    error
	status int
}

// kinds is the table. What is not here is our own fault: 500.
func kinds() []kind {
	return []kind{
		{news.ErrInvalid, http.StatusBadRequest},
		{news.ErrUnknownKey, http.StatusUnauthorized},
		{news.ErrForbidden, http.StatusForbidden},
		{news.ErrNotFound, http.StatusNotFound},
		{news.ErrConflict, http.StatusConflict},
		{news.ErrGone, http.StatusGone},
		{news.ErrTooLarge, http.StatusRequestEntityTooLarge},
		{news.ErrUnavailable, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
	}
}

// StatusOf is the HTTP status an error is answered with.
func StatusOf(err error) int {
	var forced *statusError
	if errors.As(err, &forced) {
		return forced.status
	}
	var limit *news.LimitError
	if errors.As(err, &limit) {
		return http.StatusTooManyRequests
	}
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			return k.status
		}
	}
	return http.StatusInternalServerError
}

// problem is RFC 9457, with the faults of the input (its example 3).
type problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []problemFault `json:"errors"` // never empty: without a place, one with an empty path
}

type problemFault struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// problemOf is what a stranger may read of an error. Errors of no kind say
// nothing but that it was our fault.
func problemOf(err error) problem {
	status := StatusOf(err)
	p := problem{Type: "about:blank", Title: http.StatusText(status), Status: status}
	var invalid *news.InvalidError
	switch {
	case errors.As(err, &invalid):
		p.Detail = "The request has faults; errors names each."
		for _, q := range invalid.Problems {
			p.Errors = append(p.Errors, problemFault(q))
		}
	case status >= 500:
		p.Detail = "This is our fault. Please try again in a moment."
	default:
		p.Detail = PublicText(err)
	}
	if len(p.Errors) == 0 {
		p.Errors = []problemFault{{Message: p.Detail}}
	}
	return p
}

// PublicText is the sentence an error kind was given: what stands before the
// kind are our own function names, of no use outside.
func PublicText(err error) string {
	var limit *news.LimitError
	if errors.As(err, &limit) {
		return limit.Error()
	}
	text := err.Error()
	for _, k := range kinds() {
		if !errors.Is(err, k.err) {
			continue
		}
		if i := strings.Index(text, k.err.Error()); i >= 0 {
			return text[i:]
		}
	}
	return text
}

// retryAfter sets Retry-After where an answer asks to come again.
func retryAfter(h http.Header, status int, err error) {
	var limit *news.LimitError
	switch {
	case errors.As(err, &limit):
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(limit.RetryAfter.Seconds())))))
	case status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
}

func (f *Floor) answerAPI(w http.ResponseWriter, r *http.Request, err error) {
	if f.silent(w, r, err) {
		return
	}
	p := problemOf(err)
	h := w.Header()
	retryAfter(h, p.Status, err)
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="dateline"`)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	writeJSON(w, p.Status, p)
}

func (f *Floor) answerPage(w http.ResponseWriter, r *http.Request, err error) {
	if f.silent(w, r, err) {
		return
	}
	status := StatusOf(err)
	h := w.Header()
	retryAfter(h, status, err)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(f.errorBody(r, status))
}

// silent logs our own faults and reports whether nothing can or need be
// answered any more: the answer has begun, or nobody waits for it.
func (f *Floor) silent(w http.ResponseWriter, r *http.Request, err error) bool {
	status := StatusOf(err)
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return true
	}
	if status >= 500 {
		f.log.Error("request failed", "route", r.Pattern, "method", r.Method, "status", status, "error", err)
	}
	rec, ok := w.(*recorder)
	return ok && rec.status != 0
}

// recorder remembers the status that was answered.
type recorder struct {
	http.ResponseWriter
	status int
	asked  asked
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// probe takes the mux's own answer to a request that has no route.
type probe struct{ header http.Header }

func (p probe) Header() http.Header         { return p.header }
func (p probe) Write(b []byte) (int, error) { return len(b), nil }
func (p probe) WriteHeader(int)             {}

func stack() string { return string(debug.Stack()) }

// NoDeadline lifts the server's read and write deadlines for an answer that
// may take longer than they allow, such as a digest run or a live stream.
func NoDeadline(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	// A writer without deadlines (a test's) needs none lifted.
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Time{})
}
