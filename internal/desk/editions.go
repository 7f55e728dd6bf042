package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dateline/internal/news"
)

// EditionStore is where the digest's editions, their pauses and their plans are
// kept.
type EditionStore interface {
	Editions(ctx context.Context, from, until time.Time) ([]news.EditionAccount, error)
	Edition(ctx context.Context, id string) (news.EditionAccount, error)
	OpenPauses(ctx context.Context) ([]news.EditionPause, error)
	PauseEdition(ctx context.Context, p news.EditionPause) (paused bool, err error)
	ResumeEdition(ctx context.Context, id, provider, by string) (n int, err error)
	ResendUnknown(ctx context.Context, id string, count int, by string) error
	EditionPlans(ctx context.Context, fromDate string) ([]news.EditionPlan, error)
	SetEditionPlan(ctx context.Context, p news.EditionPlan, by string) (news.EditionPlan, error)
	AppendAudit(ctx context.Context, e news.AuditEntry) error
}

// Digests makes a digest to be looked at, and sends one to an editor's own
// address. *digest.Service is one.
type Digests interface {
	Preview(ctx context.Context, w news.DigestWish) (news.DigestPreview, error)
	SendTest(ctx context.Context, w news.DigestWish, to string) (news.Receipt, error)
}

const (
	// editionsBack and editionsAhead are what a list shows when no date is asked
	// for: an edition is planned before its hour.
	editionsBack  = 48 * time.Hour
	editionsAhead = 24 * time.Hour
	// longestWindow bounds what is added up at once: a month of editions.
	longestWindow = 31 * 24 * time.Hour
)

// The clocks that are furthest from UTC: a local date begins at the one (Line
// Islands, UTC+14) and ends at the other (UTC-12).
const (
	firstClock = 14 * time.Hour
	lastClock  = 12 * time.Hour
)

// editionWindow is which editions are asked for: by their local date, or by their
// instants.
type editionWindow struct {
	date        string // "": by instants alone
	from, until time.Time
}

// windowOf is the window of a local date; "" is the last two days and the next.
func windowOf(date string, now time.Time) (editionWindow, error) {
	if date == "" {
		return editionWindow{from: now.Add(-editionsBack), until: now.Add(editionsAhead)}, nil
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return editionWindow{}, news.Invalid("date", "must be a date such as 2026-12-01")
	}
	return editionWindow{date: date, from: day.Add(-firstClock), until: day.Add(24*time.Hour + lastClock)}, nil
}

// mayRunDigests says whether a person may pause, resume, send again and plan:
// editors and chiefs, and keys of theirs with the scope.
func mayRunDigests(by news.Person) error {
	switch {
	case by.System:
		return nil
	case by.Name == "":
		return fmt.Errorf("%w: nobody is signed in", news.ErrForbidden)
	case !by.May(news.ScopeDigestsRun):
		return fmt.Errorf("%w: this needs the right to have digests sent (%s), which editors and chiefs have", news.ErrForbidden, news.ScopeDigestsRun)
	case by.Role != "" && !slices.Contains(RoleScopes(by.Role), news.ScopeDigestsRun):
		return fmt.Errorf("%w: a %s may not have digests sent", news.ErrForbidden, by.Role)
	}
	return nil
}

// editionsIn are the editions of a window, the newest first.
func (d *Service) editionsIn(ctx context.Context, w editionWindow) ([]news.EditionAccount, error) {
	list, err := d.editions.Editions(ctx, w.from, w.until)
	if err != nil {
		return nil, fmt.Errorf("desk: editions: %w", err)
	}
	if w.date != "" {
		list = slices.DeleteFunc(list, func(a news.EditionAccount) bool { return a.LocalDate != w.date })
	}
	return list, nil
}

// edition is one of them.
func (d *Service) edition(ctx context.Context, id string) (news.EditionAccount, error) {
	if _, err := news.ParseEditionID(id); err != nil {
		return news.EditionAccount{}, err
	}
	a, err := d.editions.Edition(ctx, id)
	if errors.Is(err, news.ErrNotFound) {
		return a, fmt.Errorf("%w: no edition %q was planned", news.ErrNotFound, id)
	}
	return a, err
}

// pauseEdition keeps an edition's mails to a provider ("": to all) back until
// somebody resumes it.
func (d *Service) pauseEdition(ctx context.Context, by news.Person, id, provider, why string) (news.EditionAccount, error) {
	return d.changeEdition(ctx, by, id, func(a *news.EditionAccount) error {
		if _, known := a.Providers[provider]; provider != "" && !known {
			return news.Invalid("provider", "is none that this edition goes to; it goes to %v", sortedKeys(a.Providers))
		}
		paused, err := d.editions.PauseEdition(ctx, news.EditionPause{Edition: id, Provider: provider, Reason: news.PauseEditor, Detail: cleanReason(why), By: by.Name})
		if err == nil && !paused {
			err = fmt.Errorf("%w: it is paused for %s already", news.ErrConflict, providerName(provider))
		}
		return err
	})
}

// resumeEdition ends the pauses of an edition for a provider ("": all of them).
func (d *Service) resumeEdition(ctx context.Context, by news.Person, id, provider string) (news.EditionAccount, error) {
	return d.changeEdition(ctx, by, id, func(*news.EditionAccount) error {
		n, err := d.editions.ResumeEdition(ctx, id, provider, by.Name)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: nothing of it is paused for %s; somebody else may have resumed it", news.ErrConflict, providerName(provider))
		}
		return err
	})
}

// resendUnknown lets the mails go once more of which nobody knows whether they
// went. count is how many somebody read on the page, and typed.
func (d *Service) resendUnknown(ctx context.Context, by news.Person, id string, count int) (news.EditionAccount, error) {
	return d.changeEdition(ctx, by, id, func(*news.EditionAccount) error {
		if count < 1 {
			return news.Invalid("count", "must be how many mails are unknown now")
		}
		return d.editions.ResendUnknown(ctx, id, count, by.Name)
	})
}

// changeEdition does one thing to an edition that is there, and gives it as it is
// afterwards.
func (d *Service) changeEdition(ctx context.Context, by news.Person, id string, do func(*news.EditionAccount) error) (news.EditionAccount, error) {
	if err := mayRunDigests(by); err != nil {
		return news.EditionAccount{}, err
	}
	a, err := d.edition(ctx, id)
	if err != nil {
		return a, err
	}
	if err := do(&a); err != nil {
		return a, err
	}
	return d.edition(ctx, id)
}

// editionState is how far an edition is.
type editionState string

// The states. One that is paused has mails that wait for an editor; one that is
// done has none that could still go by themselves.
const (
	editionPlanned editionState = "planned"
	editionSending editionState = "sending"
	editionPaused  editionState = "paused"
	editionDone    editionState = "done"
)

func stateOf(a *news.EditionAccount) editionState {
	switch left := a.Waiting + a.UnderWay + a.Deferred; {
	case left == 0:
		return editionDone
	case a.Paused():
		return editionPaused
	case a.Waiting == a.Due:
		return editionPlanned
	}
	return editionSending
}

// addsUp reports whether every due mail is in exactly one state: in all, and of
// the providers together.
func addsUp(a *news.EditionAccount) bool {
	var sum news.EditionFigures
	for _, f := range a.Providers {
		if !f.Conserved() {
			return false
		}
		sum = sum.Plus(f)
	}
	return a.Conserved() && sum == a.EditionFigures
}
