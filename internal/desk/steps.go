package desk

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"dateline/internal/news"
)

// decision is a pure step on the alert as it is in the store now.
type decision func(a *news.Alert, s *news.Story) (news.AlertAction, error)

// take checks the person's rights, decides in the store's transaction, wakes
// whom it concerns and shows the alert as it is then.
func (d *Service) take(ctx context.Context, by news.Person, s step, id string, decide decision) (View, error) {
	if err := may(by, s); err != nil {
		return View{}, err
	}
	over := d.brake(s)
	changed, story, err := d.change(ctx, id, through(by, decide))
	over()
	if err != nil {
		return View{}, fmt.Errorf("desk: %s alert %s: %w", s, id, err)
	}
	return d.taken(ctx, by, s, changed, story)
}

// brakeEvery is how often a press on a stop is said again while it is written
// down. A dispatcher that hears it pauses for 200 ms.
const brakeEvery = 80 * time.Millisecond

// brake has every dispatcher pause while a stop is written down, until over is
// called. The database is the judge, and it may be busy: with other writers
// before it a press took a second to commit on a machine with eight times the
// work it could do, and sends went on for as long. A stop that is refused costs
// the others a pause.
func (d *Service) brake(s step) (over func()) {
	if d.waker == nil || s != stepHold && s != stepKill && s != stepCancel {
		return func() {}
	}
	press := func() {
		if err := d.waker.Wake(topicBrake); err != nil {
			d.log.Warn("the brake is not heard; the stop counts once it is written down", "error", err)
		}
	}
	press()
	written := make(chan struct{})
	go func() {
		again := time.NewTicker(brakeEvery)
		defer again.Stop()
		for {
			select {
			case <-written:
				return
			case <-again.C:
				press()
			}
		}
	}()
	return func() { close(written) }
}

// through is the decision with what the trail adds of the person.
func through(by news.Person, decide decision) decision {
	if by.Through == "" {
		return decide
	}
	return func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		action, err := decide(a, s)
		if detail := cmp.Or(action.Detail, a.Reason); detail != "" {
			action.Detail = detail + " · " + by.Through
		} else {
			action.Detail = by.Through
		}
		return action, err
	}
}

// taken shows an alert after a step.
func (d *Service) taken(ctx context.Context, by news.Person, s step, changed news.Alert, story news.Story) (View, error) {
	id := changed.ID
	d.log.Info("alert changed", "alert", id, "step", string(s), "by", by.Name, "state", string(changed.State),
		"revision", changed.Revision)
	v, err := d.view(ctx, changed, story.Version)
	if err != nil {
		// The step counts; an error here would say that it does not.
		d.log.Warn("alert changed, its figures could not be read", "alert", id, "error", err)
		return View{Alert: changed}, nil
	}
	return v, nil
}

func (d *Service) change(ctx context.Context, id string, decide decision) (news.Alert, news.Story, error) {
	var action news.AlertAction
	var story news.Story
	changed, err := d.store.ChangeAlert(ctx, id, func(a *news.Alert, s news.Story) (news.AlertAction, error) {
		var err error
		story = s
		action, err = decide(a, &s)
		return action, err
	})
	if err != nil {
		return news.Alert{}, news.Story{}, err
	}
	d.done(ctx, changed, action)
	return changed, story, nil
}

// done is what follows a step that is in the store: whom it wakes, and whom it
// calls to the desk.
func (d *Service) done(ctx context.Context, changed news.Alert, action news.AlertAction) {
	d.wake(changed, action)
	if kind := callOf(changed, action); kind != "" {
		d.notify.Notify(ctx, kind, changed, action.By)
	}
}

// Submit puts a draft before the approver.
func (d *Service) Submit(ctx context.Context, by news.Person, id string) (View, error) {
	policyOf, err := d.policyOf(ctx)
	if err != nil {
		return View{}, err
	}
	return d.take(ctx, by, stepSubmit, id, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) {
		asked := a.State == news.AlertSubmitted // once is enough: it waits on their pages
		action, err := news.Submit(a, by)
		action.Ask = err == nil && !asked && policyOf(a.Level) == news.PolicyTwo
		return action, err
	})
}

// Approve binds the person's approval to the content that hash names.
func (d *Service) Approve(ctx context.Context, by news.Person, id, hash string) (View, error) {
	policyOf, err := d.policyOf(ctx)
	if err != nil {
		return View{}, err
	}
	return d.take(ctx, by, stepApprove, id, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) {
		if err := mayApprove(by, a, policyOf(a.Level)); err != nil {
			return news.AlertAction{}, err
		}
		return news.Approve(a, by, policyOf(a.Level), hash)
	})
}

// Pressing is how a release is pressed.
type Pressing struct {
	Hash string // of what was read; a release of anything else is refused
	// OverCap: a chief typed that she means to go over the newsroom's cap.
	OverCap bool
	// Alone: without the second editor that the policy asks for, for Reason.
	Alone  bool
	Reason string
}

// Release starts the alert on its way: the countdown, then the send. The hash
// names what was read; a release of anything else is refused.
func (d *Service) Release(ctx context.Context, by news.Person, id, hash string) (View, error) {
	return d.Press(ctx, by, id, Pressing{Hash: hash})
}

// Press is Release with what else was typed: alone, or over the cap.
func (d *Service) Press(ctx context.Context, by news.Person, id string, p Pressing) (View, error) {
	s := stepRelease
	if p.Alone {
		s = stepAlone
	}
	if err := may(by, s); err != nil {
		return View{}, err
	}
	if p.Hash == "" {
		return View{}, news.Invalid("hash", "is required: release exactly what you have read")
	}
	p.Reason = cleanReason(p.Reason)
	var action news.AlertAction
	var story news.Story
	changed, err := d.store.ReleaseAlert(ctx, id, func(a *news.Alert, s news.Story, policy news.Policy, room news.Room) (news.AlertAction, error) {
		var err error
		story = s
		terms := d.terms(a.Level, policy)
		terms.Room, terms.OverCap = &room, p.OverCap
		action, err = released(a, &s, by, p, terms)
		return action, err
	})
	if err != nil {
		return View{}, fmt.Errorf("desk: %s alert %s: %w", s, id, err)
	}
	d.done(ctx, changed, action)
	return d.taken(ctx, by, s, changed, story)
}

// released decides on a release.
func released(a *news.Alert, s *news.Story, by news.Person, p Pressing, terms news.ReleaseTerms) (news.AlertAction, error) {
	if p.Alone {
		return news.StartAlone(a, s, by, p.Hash, p.Reason, terms)
	}
	if err := mayRelease(by, terms.Policy); err != nil {
		return news.AlertAction{}, err
	}
	return news.Start(a, s, by, p.Hash, terms)
}

// Hold stops sends from starting until Resume.
func (d *Service) Hold(ctx context.Context, by news.Person, id, reason string) (View, error) {
	reason = cleanReason(reason)
	return d.take(ctx, by, stepHold, id, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) {
		return news.Hold(a, by, reason)
	})
}

// Resume undoes Hold. An alert held during its countdown goes back to before
// its release. Nothing resumes while its story may not be shown.
func (d *Service) Resume(ctx context.Context, by news.Person, id string) (View, error) {
	return d.take(ctx, by, stepResume, id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		if a.State == news.AlertHeld && s.Status != news.Usable {
			return news.AlertAction{}, fmt.Errorf("%w: the story is %s; nothing of it is sent until a usable version comes", news.ErrConflict, s.Status)
		}
		return news.Resume(a, by)
	})
}

// Cancel ends an alert that has not gone to everybody; what went stays.
func (d *Service) Cancel(ctx context.Context, by news.Person, id, reason string) (View, error) {
	reason = cleanReason(reason)
	return d.take(ctx, by, stepCancel, id, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) {
		return news.Cancel(a, by, reason)
	})
}

// Kill cancels what is pending and retracts what went out.
func (d *Service) Kill(ctx context.Context, by news.Person, id, reason string) (View, error) {
	reason = cleanReason(reason)
	return d.take(ctx, by, stepKill, id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		return news.Kill(a, s, by, reason, news.RetractionTexts(a), d.terms(a.Level, news.PolicyAuto))
	})
}

// Correct sends a new revision. Without texts it takes those of the story,
// when the story has changed since the alert and may be shown. Under two the system, which is
// nobody, can't send new words: it may hold and kill.
func (d *Service) Correct(ctx context.Context, by news.Person, id string, texts map[string]news.Text) (View, error) {
	if err := may(by, stepCorrect); err != nil {
		return View{}, err
	}
	policyOf, err := d.policyOf(ctx)
	if err != nil {
		return View{}, err
	}
	return d.take(ctx, by, stepCorrect, id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		if err := mayRelease(by, policyOf(a.Level)); err != nil {
			return news.AlertAction{}, err
		}
		if s.Status != news.Usable {
			return news.AlertAction{}, fmt.Errorf("%w: the story is %s; an alert of it can be killed, not corrected", news.ErrConflict, s.Status)
		}
		// A state that allows no correction is said before faults of the text are.
		terms := d.terms(a.Level, news.PolicyAuto)
		try := *a
		if _, err := news.Correct(&try, s, by, nil, terms); err != nil {
			return news.AlertAction{}, err
		}
		corrected, err := correctedTexts(a, s, texts, d.room(a, s), terms.Now)
		if err != nil {
			return news.AlertAction{}, err
		}
		if !s.Embargoed(terms.Now) { // else the desk goes on to say that the story has changed since
			a.StoryVersion = s.Version
		}
		return news.Correct(a, s, by, corrected, terms)
	})
}

// cleanReason is a reason as the audit trail and the desk keep it: a sentence
// or three. What is longer is cut: nobody who stops an alert is sent back for
// it.
func cleanReason(reason string) string {
	const longest = 500 // characters
	return firstRunes(news.CleanLine(reason), longest)
}
