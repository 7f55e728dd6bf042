package news

import "fmt"

// EndHold decides what becomes of an alert whose countdown, or whose story's
// embargo, has ended: it begins to send, unless the story was taken back
// meanwhile, a newer version has a later embargo, or the deadline passed while
// the process or the database was away. Several processes may try it on one
// alert; all but the first get ErrConflict.
func EndHold(a *Alert, s *Story, terms ReleaseTerms) (AlertAction, error) {
	system := Person{Name: SystemName, System: true}
	deadline := a.Deadline
	if deadline.IsZero() {
		deadline = a.HoldUntil.Add(DefaultDeadline(a.Level))
	}
	switch {
	case a.State != AlertHolding || a.HoldUntil.After(terms.Now):
		return AlertAction{}, fmt.Errorf("%w: the countdown of alert %s has not ended", ErrConflict, a.ID)
	case s.Status == Canceled:
		return Cancel(a, system, "the story was canceled")
	case s.Status != Usable:
		return Hold(a, system, "the story was withheld")
	case s.Embargoed(terms.Now):
		a.HoldUntil = s.Embargo
		return AlertAction{Audit: "wait", By: system.Name}, nil
	case !deadline.After(terms.Now):
		return Cancel(a, system, "its deadline had passed before it could be sent")
	}
	action, err := BeginSend(a, s, terms, false)
	if action.Release != nil {
		action.Release.Deadline = deadline
	}
	return action, err
}
