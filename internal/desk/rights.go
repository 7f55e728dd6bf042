package desk

import (
	"fmt"
	"slices"

	"dateline/internal/news"
)

// step is one thing that can be done to an alert.
type step string

const (
	stepDraft   step = "draft"
	stepEdit    step = "edit"
	stepSubmit  step = "submit"
	stepApprove step = "approve"
	stepRelease step = "release"
	stepHold    step = "hold"
	stepResume  step = "resume"
	stepCancel  step = "cancel"
	stepKill    step = "kill"
	stepCorrect step = "correct"
	stepAlone   step = "release alone"
	stepReview  step = "review"
)

// scope is what a person needs to take the step.
func (s step) scope() string {
	switch s {
	case stepDraft, stepEdit, stepSubmit:
		return news.ScopeAlertsDraft
	case stepApprove, stepReview:
		return news.ScopeAlertsApprove
	case stepRelease, stepResume, stepCorrect, stepAlone:
		return news.ScopeAlertsRelease
	}
	return news.ScopeAlertsStop
}

// RoleScopes are the scopes a role can have: a reporter drafts, an editor also
// decides and may run the digests that are due, a chief may all.
func RoleScopes(r news.Role) []string {
	reporter := []string{news.ScopeStoriesWrite, news.ScopeAlertsRead, news.ScopeAlertsDraft}
	switch r {
	case news.RoleReporter:
		return reporter
	case news.RoleEditor:
		return append(reporter, news.ScopeAlertsApprove, news.ScopeAlertsRelease, news.ScopeAlertsStop, news.ScopeDigestsRun)
	case news.RoleChief:
		return news.Scopes()
	}
	return nil
}

// may says whether the person may take the step. A key made before its editor
// lost a role does not keep that role's rights.
func may(by news.Person, s step) error {
	scope := s.scope()
	switch {
	case by.System:
		return nil
	case by.Name == "":
		return fmt.Errorf("%w: nobody is signed in", news.ErrForbidden)
	case !by.May(scope):
		return fmt.Errorf("%w: %s an alert needs the scope %s", news.ErrForbidden, s, scope)
	case by.Role != "" && !slices.Contains(RoleScopes(by.Role), scope):
		return fmt.Errorf("%w: a %s may not %s an alert", news.ErrForbidden, by.Role, s)
	}
	return nil
}

// mayRelease adds the rule for the second person: the system, which is nobody,
// releases under auto and one only.
func mayRelease(by news.Person, policy news.Policy) error {
	if by.System && policy == news.PolicyTwo {
		return fmt.Errorf("%w: this level needs two editors; the admin key counts as nobody and can't release it", news.ErrForbidden)
	}
	return nil
}

// mayApprove adds, under two, that an editor must have written or submitted
// what is approved: an approval of what only the system wrote would leave one
// editor behind the alert, whoever releases it. The system's own approval is
// refused by news.Approve, whoever wrote the alert.
func mayApprove(by news.Person, a *news.Alert, policy news.Policy) error {
	if by.System || policy != news.PolicyTwo || isEditor(a.Author) || isEditor(a.Submitter) {
		return nil
	}
	return fmt.Errorf("%w: this level needs two editors; one must submit the alert before another approves it", news.ErrConflict)
}

func isEditor(name string) bool { return name != "" && name != news.SystemName }
