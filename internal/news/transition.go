package news

import (
	"fmt"
	"time"
)

// AlertAction is what has to happen beside the change of an alert, in the same
// transaction.
type AlertAction struct {
	Freeze  bool     // releases of this alert that are sending become held
	Thaw    bool     // held ones become sending again
	Stop    bool     // sending and held ones become stopped: their pending devices are cancelled
	Release *Release // inserted after that; the store gives Revision and Changes
	// Phase, unless empty, is where the alert's release moves out of PhaseCanary;
	// ErrConflict when it has left that already.
	Phase Phase
	// Emergency, with a release by one editor where two are asked for, is
	// inserted: it waits to be reviewed.
	Emergency *Emergency
	// Ask says that other editors are to be asked for their approval.
	Ask bool
	// Audit is the word for the audit trail: "submit", "approve", "kill"...
	Audit string
	// Detail is what the trail says beside it; "": the alert's reason.
	Detail string
	By     string
	// OverCap says that the release went over the newsroom's cap.
	OverCap bool
}

// over is what the audit trail adds of a release that went over the cap.
func (a AlertAction) over() string {
	if a.OverCap {
		return " over the cap"
	}
	return ""
}

// ReleaseTerms is what a release needs to know beside the alert and its story.
type ReleaseTerms struct {
	Policy Policy
	// Hold is how long a release waits, undoable, before its first send; zero
	// for none. Automatic releases have none.
	Hold time.Duration
	// Canary says that the first few go first. Automatic releases have none.
	Canary bool
	// Navigate gives the absolute URL a press on the notification opens.
	Navigate func(a *Alert, s *Story) string
	// NewID makes ids.
	NewID func() string
	Now   time.Time
	// Room is what the newsroom's cap leaves of the alert's level; nil: nothing
	// is counted. OverCap says that a chief typed that she means to go over it.
	Room    *Room
	OverCap bool
}

// stateError is the 409 of a step that the state does not allow.
func stateError(a *Alert, step string) error {
	return fmt.Errorf("%w: an alert that is %s can't be %s", ErrConflict, a.State, step)
}

func checkHash(a *Alert, hash string) error {
	if hash != "" && hash != a.Hash() {
		return fmt.Errorf("%w: the alert has changed since you saw it; read it again and decide anew", ErrConflict)
	}
	return nil
}

// Submit puts a draft before the approver.
func Submit(a *Alert, by Person) (AlertAction, error) {
	if a.State != AlertDraft && a.State != AlertSubmitted {
		return AlertAction{}, stateError(a, "submitted")
	}
	a.State, a.Submitter = AlertSubmitted, by.Name
	return AlertAction{Audit: "submit", By: by.Name}, nil
}

// Approve binds an approval to the content named by hash. Under two, the
// approver must be an editor other than the last author and the submitter;
// the system counts as nobody.
func Approve(a *Alert, by Person, policy Policy, hash string) (AlertAction, error) {
	switch a.State {
	case AlertDraft, AlertSubmitted, AlertApproved:
	default:
		return AlertAction{}, stateError(a, "approved")
	}
	if hash == "" {
		return AlertAction{}, Invalid("hash", "is required: approve exactly what you have read")
	}
	if err := checkHash(a, hash); err != nil {
		return AlertAction{}, err
	}
	if policy == PolicyTwo {
		if by.System {
			return AlertAction{}, fmt.Errorf("%w: this level needs a second editor; the admin key counts as nobody", ErrForbidden)
		}
		if by.Name == a.Author || by.Name == a.Submitter {
			return AlertAction{}, fmt.Errorf("%w: this level needs a second editor; %s wrote or submitted it", ErrForbidden, by.Name)
		}
	}
	a.State, a.Approver, a.ApprovedHash = AlertApproved, by.Name, a.Hash()
	return AlertAction{Audit: "approve", By: by.Name}, nil
}

// twoEditors reports whether two different editors stand behind the alert.
func twoEditors(a *Alert) bool {
	if a.Approver == "" || a.Approver == SystemName || a.ApprovedHash != a.Hash() {
		return false
	}
	for _, other := range []string{a.Author, a.Submitter} {
		if other != "" && other != SystemName && other != a.Approver {
			return true
		}
	}
	return false
}

// Start releases an alert: it holds for terms.Hold (or until an embargo ends)
// and then sends; without a wait it sends at once.
func Start(a *Alert, s *Story, by Person, hash string, terms ReleaseTerms) (AlertAction, error) {
	if err := mayStart(a, hash); err != nil {
		return AlertAction{}, err
	}
	if terms.Policy == PolicyTwo && !twoEditors(a) {
		return AlertAction{}, fmt.Errorf("%w: this level needs the approval of a second editor first", ErrForbidden)
	}
	return start(a, s, by, hash, terms)
}

// start is what every release has to pass, whoever is behind it.
func start(a *Alert, s *Story, by Person, hash string, terms ReleaseTerms) (AlertAction, error) {
	if err := mayStart(a, hash); err != nil {
		return AlertAction{}, err
	}
	if s.Status != Usable {
		return AlertAction{}, fmt.Errorf("%w: the story is %s", ErrConflict, s.Status)
	}
	if !a.Deadline.IsZero() && !a.Deadline.After(terms.Now) {
		return AlertAction{}, fmt.Errorf("%w: the alert's deadline has passed", ErrConflict)
	}
	over, err := fits(a.Level, by, terms)
	if err != nil {
		return AlertAction{}, err
	}
	a.Releaser, a.ReleasedAt, a.Reason = by.Name, terms.Now, ""
	wait := terms.Now.Add(terms.Hold)
	if s.Embargo.After(wait) {
		wait = s.Embargo
	}
	action := AlertAction{By: by.Name, OverCap: over}
	action.Audit = "release" + action.over()
	if wait.After(terms.Now) {
		a.State, a.HoldUntil = AlertHolding, wait
		return action, nil
	}
	send, err := BeginSend(a, s, terms, true)
	send.Audit, send.By, send.OverCap = action.Audit, by.Name, over
	return send, err
}

// mayStart reports whether an alert in this state, with this content, can be
// released at all.
func mayStart(a *Alert, hash string) error {
	switch a.State {
	case AlertDraft, AlertSubmitted, AlertApproved:
		return checkHash(a, hash)
	}
	return stateError(a, "released")
}

// BeginSend ends the hold: the alert is sending and its first release exists.
// fresh says that no time has passed since the release was pressed.
func BeginSend(a *Alert, s *Story, terms ReleaseTerms, fresh bool) (AlertAction, error) {
	if !fresh && (a.State != AlertHolding || a.HoldUntil.After(terms.Now)) {
		return AlertAction{}, stateError(a, "sent now")
	}
	if s.Status != Usable || s.Embargoed(terms.Now) {
		return AlertAction{}, fmt.Errorf("%w: the story may not be shown now", ErrConflict)
	}
	a.State, a.HoldUntil = AlertSending, time.Time{}
	r := NewRelease(a, s, ReleaseAlert, terms)
	return AlertAction{Release: r, Audit: "send", By: SystemName}, nil
}

// NewRelease snapshots an alert for sending. A repair tries as long as what it
// repairs may still arrive: a push service may keep the original until the
// alert's own deadline.
func NewRelease(a *Alert, s *Story, kind ReleaseKind, terms ReleaseTerms) *Release {
	deadline := terms.Now.Add(DefaultDeadline(a.Level))
	if !a.Deadline.IsZero() && (kind == ReleaseAlert || a.Deadline.After(deadline)) {
		deadline = a.Deadline
	}
	r := &Release{ID: terms.NewID(), AlertID: a.ID, StoryURI: a.StoryURI, Kind: kind, State: ReleaseSending,
		Level: a.Level, Texts: a.Texts, Language: a.Language, Audience: a.Audience, Sections: a.Sections, Final: a.Final,
		Regions: s.Regions, Navigate: terms.Navigate(a, s), Deadline: deadline, ReleasedAt: terms.Now, Phase: PhaseAll}
	if terms.Canary && kind == ReleaseAlert && terms.Policy != PolicyAuto {
		r.Phase = PhaseCanary
	}
	// A retraction does not show once more what it takes back, and a newer
	// version that is embargoed shows nothing yet.
	if s.Image != nil && kind != ReleaseKill && !s.Embargoed(terms.Now) {
		r.Image = s.Image.URL
	}
	return r
}

// stopped notes who stopped the alert at this moment; "" that nothing does any
// more.
func (a *Alert) stopped(by string) { a.StoppedBy, a.StoppedAt = by, time.Time{} }

// Hold stops sends from starting until Resume, in any unfinished state.
func Hold(a *Alert, by Person, reason string) (AlertAction, error) {
	if a.State == AlertHeld {
		return AlertAction{Freeze: true, Audit: "hold", By: by.Name}, nil
	}
	if !a.State.Unfinished() {
		return AlertAction{}, stateError(a, "held")
	}
	a.HeldFrom, a.State, a.Reason = a.State, AlertHeld, reason
	a.stopped(by.Name)
	return AlertAction{Freeze: true, Audit: "hold", By: by.Name}, nil
}

// Resume undoes Hold. An alert held while it was counting down goes back to
// its approval: its countdown starts anew with the next release.
func Resume(a *Alert, by Person) (AlertAction, error) {
	if a.State != AlertHeld {
		return AlertAction{}, stateError(a, "resumed")
	}
	a.State, a.Reason = a.HeldFrom, ""
	a.stopped("")
	if a.State == AlertHolding {
		a.State, a.HoldUntil, a.ReleasedAt = AlertApproved, time.Time{}, time.Time{}
		if a.Approver == "" && a.Submitter != "" { // released without the approval it was submitted for
			a.State = AlertSubmitted
		}
	}
	a.HeldFrom = ""
	return AlertAction{Thaw: true, Audit: "resume", By: by.Name}, nil
}

// Cancel ends an alert that has not been sent to everybody: what is pending
// never goes; what went stays as it is.
func Cancel(a *Alert, by Person, reason string) (AlertAction, error) {
	if !a.State.Unfinished() {
		return AlertAction{}, stateError(a, "cancelled")
	}
	a.State, a.Reason, a.HoldUntil = AlertCancelled, reason, time.Time{}
	a.stopped(by.Name)
	return AlertAction{Stop: true, Audit: "cancel", By: by.Name}, nil
}

// Kill cancels what is pending and sends a retraction to exactly those who
// were sent the alert or may have been. A draft that nobody was sent is killed
// without one.
func Kill(a *Alert, s *Story, by Person, reason string, texts map[string]Text, terms ReleaseTerms) (AlertAction, error) {
	if a.State == AlertKilled {
		return AlertAction{}, stateError(a, "killed")
	}
	sent := a.Revision > 0
	a.State, a.Reason, a.HoldUntil = AlertKilled, reason, time.Time{}
	a.stopped(by.Name)
	action := AlertAction{Stop: true, Audit: "kill", By: by.Name}
	if sent {
		r := NewRelease(a, s, ReleaseKill, terms)
		r.Texts = texts
		action.Release = r
	}
	return action, nil
}

// Correct sends a new revision: as a repair to whoever was sent the alert or
// may have been, instead of it to whoever is still waiting.
func Correct(a *Alert, s *Story, by Person, texts map[string]Text, terms ReleaseTerms) (AlertAction, error) {
	switch {
	case a.Revision == 0:
		return AlertAction{}, stateError(a, "corrected: nothing of it was sent; edit it instead")
	case a.State == AlertKilled:
		return AlertAction{}, stateError(a, "corrected")
	}
	supersedes := a.State != AlertCancelled
	a.Texts, a.Author, a.State, a.HeldFrom = texts, by.Name, AlertSending, ""
	a.stopped("")
	r := NewRelease(a, s, ReleaseCorrection, terms)
	r.Supersedes = supersedes
	return AlertAction{Stop: true, Release: r, Audit: "correct", By: by.Name}, nil
}
