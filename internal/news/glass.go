package news

import (
	"fmt"
	"time"
	"unicode"
)

// Emergency is a release that one editor made alone where the policy asks for
// two: the glass was broken. It stays to be reviewed until another editor has
// signed it off.
type Emergency struct {
	ID         string
	AlertID    string
	By         string
	Reason     string
	At         time.Time
	ReviewedBy string
	Note       string // of the review
	ReviewedAt time.Time
}

// Reviewed reports whether another editor has signed it off.
func (e *Emergency) Reviewed() bool { return e.ReviewedBy != "" }

const (
	// aloneHold is how much longer a release by one editor waits, undoable, and
	// aloneLeast the least of it: the others are told in the same moment, and
	// have to look before it goes (reliability: Hawaii 2018, one person's press).
	aloneHold  = 3
	aloneLeast = 30 * time.Second
	// leastReason is how many visible characters a reason has at least: a key
	// pressed a few times is none.
	leastReason = 10
)

// AloneHold is how long a release by one editor waits where two are asked for.
func AloneHold(hold time.Duration) time.Duration { return max(aloneHold*hold, aloneLeast) }

// StartAlone is Start for one editor where the policy asks for two. It is for
// editors who signed in on the desk's pages: a key is one factor.
func StartAlone(a *Alert, s *Story, by Person, hash, reason string, terms ReleaseTerms) (AlertAction, error) {
	switch {
	case by.System || !by.SignedIn || by.Role != RoleEditor && by.Role != RoleChief:
		return AlertAction{}, fmt.Errorf("%w: an alert is released alone by an editor or a chief who is signed in on the desk", ErrForbidden)
	case terms.Policy != PolicyTwo:
		return AlertAction{}, fmt.Errorf("%w: this level needs no second editor; release it as it is", ErrConflict)
	case twoEditors(a):
		return AlertAction{}, fmt.Errorf("%w: another editor has approved exactly this; release it as it is", ErrConflict)
	}
	if err := checkReason("reason", reason); err != nil {
		return AlertAction{}, err
	}
	terms.Hold = AloneHold(terms.Hold)
	action, err := start(a, s, by, hash, terms)
	if err != nil {
		return AlertAction{}, err
	}
	if a.Submitter == "" { // undone, it waits for the approval that it went without
		a.Submitter = by.Name
	}
	action.Audit, action.Detail = "release alone"+action.over(), reason
	action.Emergency = &Emergency{ID: terms.NewID(), AlertID: a.ID, By: by.Name, Reason: reason, At: terms.Now}
	return action, nil
}

// Review signs an emergency off: somebody else than who made it, who may
// approve alerts, with a note.
func Review(e *Emergency, by Person, note string, now time.Time) error {
	switch {
	case by.System || !by.SignedIn || by.Role != RoleEditor && by.Role != RoleChief:
		return fmt.Errorf("%w: a release is reviewed by an editor or a chief who is signed in on the desk", ErrForbidden)
	case e.By == by.Name:
		return fmt.Errorf("%w: %s released it alone; another editor reviews it", ErrForbidden, by.Name)
	case e.Reviewed():
		return fmt.Errorf("%w: %s has reviewed it already", ErrConflict, e.ReviewedBy)
	}
	if err := checkReason("note", note); err != nil {
		return err
	}
	e.ReviewedBy, e.Note, e.ReviewedAt = by.Name, note, now
	return nil
}

// checkReason wants a sentence, not a keystroke.
func checkReason(field, text string) error {
	n := 0
	for _, r := range text {
		if unicode.IsGraphic(r) && !unicode.IsSpace(r) && !Hidden(r) {
			n++
		}
	}
	if n < leastReason {
		return Invalid(field, "has %d visible characters; write at least %d: others will read it", n, leastReason)
	}
	return nil
}
