package news

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of error. One table in package web maps them to HTTP answers;
// intake maps them to "dead letter" or "try again". Anything that is none of
// these is our own fault: 500 outside, "try again" at the intake.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("conflict")      // 409: the state does not allow it
	ErrForbidden   = errors.New("forbidden")     // 403: the person may not
	ErrUnknownKey  = errors.New("unknown key")   // 401
	ErrUnavailable = errors.New("unavailable")   // 503: a part we need is down; try again
	ErrFenced      = errors.New("lease is lost") // somebody else holds the cell now
	ErrGone        = errors.New("gone")          // 410: the link has expired or was used
	ErrTooLarge    = errors.New("too large")     // 413
	ErrInvalid     = errors.New("invalid")       // 400 or 422; always an *InvalidError
)

// Problem is one fault of an input: a path such as "regions/1" and a sentence
// that says what is wrong and what would be right.
type Problem struct {
	Path    string
	Message string
}

// InvalidError is bad input: every problem found, in the order found.
// errors.Is(err, ErrInvalid) holds.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	parts := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		if p.Path == "" {
			parts = append(parts, p.Message)
			continue
		}
		parts = append(parts, p.Path+": "+p.Message)
	}
	return strings.Join(parts, "; ")
}

// Is makes errors.Is(err, ErrInvalid) hold.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Invalid is an InvalidError with one problem.
func Invalid(path, format string, args ...any) error {
	return &InvalidError{Problems: []Problem{{Path: path, Message: fmt.Sprintf(format, args...)}}}
}

// Problems collects faults so that all can be reported at once.
type Problems []Problem

// Add records one fault.
func (p *Problems) Add(path, format string, args ...any) {
	*p = append(*p, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// Take records the faults of err under the path prefix (an *InvalidError's own
// problems, or err's text). A nil err records nothing.
func (p *Problems) Take(prefix string, err error) {
	if err == nil {
		return
	}
	var inv *InvalidError
	if !errors.As(err, &inv) {
		p.Add(prefix, "%s", err.Error())
		return
	}
	for _, q := range inv.Problems {
		path := prefix
		if q.Path != "" && prefix != "" {
			path = prefix + "/" + q.Path
		} else if prefix == "" {
			path = q.Path
		}
		*p = append(*p, Problem{Path: path, Message: q.Message})
	}
}

// Err is nil without problems, else an *InvalidError.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return &InvalidError{Problems: p}
}

// LimitError says that a limit was reached: HTTP 429 with Retry-After.
type LimitError struct {
	What       string
	RetryAfter time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many requests (%s); try again in %s", e.What, e.RetryAfter.Round(time.Second))
}
