package app

import (
	"maps"
	"slices"
	"strings"

	"dateline/internal/news"
)

// actUndo is what the report calls a hold that was pressed in the countdown: on
// the desk the button says Undo, and nothing had gone out.
const actUndo = "undo"

// act is something an editor can do with an alert, and what the report calls it.
type act struct{ name, words string }

// The acts that are told apart by more than the word of the trail.
const (
	actApprove = "approve"
	actHold    = "hold"
	actResume  = "resume"
	actAlone   = "release alone"
)

// rehearsable are the acts a drill is for, in the order in which they come.
func rehearsable() []act {
	return []act{
		{"submit", "submitting for approval"},
		{actApprove, "approving another's alert"},
		{"release", "releasing"},
		{actUndo, "undoing a release in its countdown"},
		{actHold, "HOLD while an alert goes out"},
		{actResume, "resuming what was on hold"},
		{"correct", "correcting"},
		{"kill", "killing"},
		{"cancel", "cancelling"},
		{actAlone, "releasing alone (break-glass)"},
		{"review", "reviewing what another released alone"},
	}
}

// noGlass are the acts that need a level at which two editors must agree.
func noGlass() []string { return []string{actAlone, "review"} }

// markUndos calls those holds of the alert what they were: pressed after a
// release, and before anything of it was sent.
func (v *DrillAlert) markUndos(releases []news.Release) {
	counting := false
	for i := range v.Steps {
		step := &v.Steps[i]
		switch {
		case strings.HasPrefix(step.Action, "release"):
			counting = true
		case step.Action == "resume":
			counting = false
		case step.Action == actHold && counting && !began(releases, step):
			step.Action = actUndo
		}
	}
}

// began reports whether something of the alert was being sent at the step.
func began(releases []news.Release, step *DrillStep) bool {
	return len(releases) > 0 && !releases[0].ReleasedAt.After(step.At)
}

// rehearsed are the acts that editors took on the alert, by name. Approving what
// one wrote oneself, holding a draft and taking an Undo back are none.
func (v *DrillAlert) rehearsed(releases []news.Release) map[string]bool {
	done, writers, held := map[string]bool{}, map[string]bool{}, false
	for i := range v.Steps {
		step := &v.Steps[i]
		if step.By == news.SystemName {
			continue
		}
		name := strings.TrimSuffix(step.Action, " over the cap")
		switch name {
		case "draft", "edit", "submit":
			writers[step.By] = true
		case actApprove:
			if delete(writers, step.By); len(writers) == 0 {
				continue
			}
		case actHold:
			if held = began(releases, step); !held {
				continue
			}
		case actUndo:
			held = false
		case actResume:
			if !held {
				continue
			}
		}
		done[name] = true
	}
	return done
}

// count says who did what, and what nobody did.
func (r *DrillReport) count() {
	people, done := map[string]map[string]int{}, map[string]bool{}
	for _, a := range r.Alerts {
		maps.Copy(done, a.done)
		for _, step := range a.Steps {
			if step.By == news.SystemName {
				continue
			}
			if people[step.By] == nil {
				people[step.By] = map[string]int{}
			}
			people[step.By][step.Action]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(people)) {
		r.People = append(r.People, DrillPerson{name, people[name]})
	}
	two := slices.Contains(slices.Collect(maps.Values(r.Policies)), string(news.PolicyTwo))
	for _, a := range rehearsable() {
		switch {
		case done[a.name]:
		case !two && slices.Contains(noGlass(), a.name):
			r.NotRehearsed = append(r.NotRehearsed, a.words+": no level of this drill needed a second editor")
		default:
			r.NotRehearsed = append(r.NotRehearsed, a.words)
		}
	}
	if len(r.People) < 2 {
		r.NotRehearsed = append(r.NotRehearsed, "working together: fewer than two people took part")
	}
}
