package region

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"dateline/internal/news"
)

// Limits of an expression: more than a story or an editor ever names (there
// are 249 countries), little enough that reading one is cheap.
const (
	MaxExprBytes  = 8 << 10
	MaxExprPlaces = 300
)

// Expr is a region expression: places joined by + (or a comma) and -, read
// from left to right. "ASEAN + TW - JP" is ASEAN and Taiwan without Japan;
// "A - B + C" is A without B, and then C, whole. The zero Expr covers nothing.
type Expr struct {
	terms []term
	set   Set
}

type term struct {
	place   string
	exclude bool
}

// Parse reads an expression. Letters may be of either case; a minus (-, − or
// –) needs a space on one side at least, since JP-13 is a place. The error is
// an *news.InvalidError with empty paths: the first fault, and every place that
// is not known.
func Parse(expr string) (Expr, error) {
	if len(expr) > MaxExprBytes {
		return Expr{}, news.Invalid("", "is longer than %d bytes", MaxExprBytes)
	}
	e, err := parse(expr)
	var first *news.InvalidError
	if !errors.As(err, &first) {
		return e, err
	}
	faults := first.Problems
	for _, tok := range tokens(expr) {
		if len(faults) == mostFaults {
			break
		}
		if _, isOp := operatorOf(tok); isOp {
			continue
		}
		if _, ok := Canonical(tok); ok {
			continue
		}
		if q := (news.Problem{Message: unknown(tok)}); !slices.Contains(faults, q) {
			faults = append(faults, q)
		}
	}
	return Expr{}, &news.InvalidError{Problems: faults}
}

// mostFaults of an expression are named: enough to see what is wrong.
const mostFaults = 10

// parse stops at the first fault.
func parse(expr string) (Expr, error) {
	var e Expr
	operator := '+' // the first place needs none
	wantPlace := true
	for _, tok := range tokens(expr) {
		op, isOp := operatorOf(tok)
		switch {
		case isOp && wantPlace && len(e.terms) == 0:
			return Expr{}, news.Invalid("", "must begin with a place, not with %q", tok)
		case isOp && wantPlace:
			return Expr{}, news.Invalid("", "needs a place between %q and %q", string(operator), tok)
		case isOp:
			operator, wantPlace = op, true
			continue
		case !wantPlace:
			return Expr{}, news.Invalid("", "needs +, - or a comma between %s and %q", e.terms[len(e.terms)-1].place, tok)
		}
		code, ok := Canonical(tok)
		if !ok {
			return Expr{}, news.Invalid("", "%s", unknown(tok))
		}
		e.terms = append(e.terms, term{place: code, exclude: operator == '-'})
		wantPlace = false
	}
	return e.check(wantPlace)
}

// check judges a whole expression and settles what it covers.
func (e Expr) check(open bool) (Expr, error) {
	switch {
	case len(e.terms) == 0:
		return Expr{}, news.Invalid("", "names no place")
	case open:
		return Expr{}, news.Invalid("", "ends without a place after the last operator")
	case len(e.terms) > MaxExprPlaces:
		return Expr{}, news.Invalid("", "names %d places; at most %d are allowed", len(e.terms), MaxExprPlaces)
	}
	for _, part := range e.Parts() {
		e.set = e.set.Union(part)
	}
	if e.set.Empty() {
		return Expr{}, news.Invalid("", "covers no place: everything in %q is excluded again", e.String())
	}
	return e, nil
}

// tokens cuts an expression into operators and words. A hyphen between two
// characters of a code belongs to the code.
func tokens(expr string) []string {
	var out []string
	runes := []rune(expr)
	for i := 0; i < len(runes); {
		switch r := runes[i]; {
		case unicode.IsSpace(r):
			i++
		case isOperator(runes, i):
			out = append(out, string(r))
			i++
		default:
			from := i
			for i < len(runes) && !unicode.IsSpace(runes[i]) && !isOperator(runes, i) {
				i++
			}
			out = append(out, string(runes[from:i]))
		}
	}
	return out
}

func isOperator(runes []rune, i int) bool {
	if runes[i] != '-' {
		_, ok := operatorOf(string(runes[i]))
		return ok
	}
	inCode := i > 0 && isCode(runes[i-1]) && i+1 < len(runes) && isCode(runes[i+1])
	return !inCode
}

func isCode(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func operatorOf(token string) (rune, bool) {
	switch token {
	case "+", ",", "、", "，", "＋":
		return '+', true
	case "-", "−", "–", "－":
		return '-', true
	}
	return 0, false
}

// unknown says what is wrong with a code that is not known, and what would be
// right where that can be told.
func unknown(typed string) string {
	code := strings.ToUpper(strings.TrimSpace(typed))
	if Known(code) {
		return fmt.Sprintf("unknown place %q; regions are written in upper case: %s", clip(typed), code)
	}
	if r := Replacement(code); r != "" {
		return fmt.Sprintf("%s is written %s here", code, r)
	}
	if a, b, ok := strings.Cut(code, "-"); ok && Known(a) && Known(b) {
		return fmt.Sprintf("unknown place %q; to leave out %s, put spaces around the minus: %s - %s", clip(code), b, a, b)
	}
	return fmt.Sprintf("unknown place %q; give a region code (142, JP, JP-13) or a group (ASEAN)", clip(typed))
}

// clip keeps what a stranger typed short in an error.
func clip(s string) string {
	const most = 40
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// String is the canonical text: what was written, in upper case, with + and -
// between spaces. Groups stay groups. Parse reads it back to the same Expr.
func (e Expr) String() string {
	var b strings.Builder
	for i, t := range e.terms {
		switch {
		case t.exclude:
			b.WriteString(" - ")
		case i > 0:
			b.WriteString(" + ")
		}
		b.WriteString(t.place)
	}
	return b.String()
}

// Places are the included places, as written.
func (e Expr) Places() []string {
	var places []string
	for _, t := range e.terms {
		if !t.exclude && !slices.Contains(places, t.place) {
			places = append(places, t.place)
		}
	}
	return places
}

// Set is what the expression covers.
func (e Expr) Set() Set { return e.set }

// Parts is one set per included place, each without what is excluded after it,
// in the order written; a place of which nothing is left has none. Their union
// is Set. A notice matches when one of them lies inside what a reader follows.
func (e Expr) Parts() []Set {
	t := tree()
	var parts []Set
	for _, term := range e.terms {
		s, _ := t.set(term.place)
		if !term.exclude {
			parts = append(parts, s)
			continue
		}
		for i := range parts {
			parts[i] = parts[i].Minus(s)
		}
	}
	return slices.DeleteFunc(parts, Set.Empty)
}
