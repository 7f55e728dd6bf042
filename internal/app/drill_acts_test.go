package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

// The report tells an Undo from a HOLD, and an approval of another's alert from
// that of one's own.
func TestWhatWasRehearsed(t *testing.T) {
	begin := time.Date(2026, 2, 6, 1, 30, 0, 0, time.UTC)
	sentAt := func(second int) []news.Release {
		return []news.Release{{ReleasedAt: begin.Add(time.Duration(second) * time.Second)}}
	}
	for name, c := range map[string]struct {
		steps    string // one a second: who and what
		releases []news.Release
		actions  string // as the report names them; "": as they were
		done     string
	}{
		"undone":               {steps: "Ann:edit Ann:release Bao:hold Bao:resume", actions: "edit release undo resume", done: "edit release undo"},
		"undone and held":      {steps: "Ann:release Bao:hold Bao:resume Ann:release system:send Bao:hold Bao:resume", releases: sentAt(4), actions: "release undo resume release send hold resume", done: "hold release resume undo"},
		"sent without a wait":  {steps: "Ann:release Ann:hold", releases: sentAt(0), done: "hold release"},
		"a draft on hold":      {steps: "Ann:hold Ann:resume", done: ""},
		"held twice":           {steps: "Ann:release system:send Ann:hold Bao:hold Ann:resume", releases: sentAt(1), done: "hold release resume"},
		"held by the canary":   {steps: "Ann:release system:send system:canary Bao:resume", releases: sentAt(1), done: "release"},
		"one's own":            {steps: "Ann:edit Ann:submit Ann:approve", done: "edit submit"},
		"another's":            {steps: "Ann:edit Ann:submit Bao:approve", done: "approve edit submit"},
		"what the system drew": {steps: "system:draft Bao:approve", done: ""},
		"alone":                {steps: "Ann:release_alone Bao:hold Bao:review Bao:cancel", actions: "release_alone undo review cancel", done: "cancel release_alone review undo"},
		"over the cap":         {steps: "Ann:release_over_the_cap Bao:hold", actions: "release_over_the_cap undo", done: "release undo"},
	} {
		var v DrillAlert
		for i, step := range strings.Fields(c.steps) {
			by, action, _ := strings.Cut(step, ":")
			v.Steps = append(v.Steps, DrillStep{At: begin.Add(time.Duration(i) * time.Second), By: by, Action: strings.ReplaceAll(action, "_", " ")})
		}
		v.markUndos(c.releases)
		var actions, done []string
		for _, step := range v.Steps {
			actions = append(actions, strings.ReplaceAll(step.Action, " ", "_"))
		}
		for act := range v.rehearsed(c.releases) {
			done = append(done, strings.ReplaceAll(act, " ", "_"))
		}
		slices.Sort(done)
		if got := strings.Join(actions, " "); c.actions != "" && got != c.actions {
			t.Errorf("%s: the steps are %s, want %s", name, got, c.actions)
		}
		if got := strings.Join(done, " "); got != c.done {
			t.Errorf("%s: rehearsed %q, want %q", name, got, c.done)
		}
	}
}

// Everything that an editor can do and nobody did is named; where nothing asks
// for a second editor, the way round her can't be rehearsed, and the report says so.
func TestWhatWasNotRehearsed(t *testing.T) {
	left := func(policy news.Policy, done map[string]bool) string {
		r := DrillReport{Policies: map[string]string{"flash": string(policy)}, Alerts: []DrillAlert{{done: done}}}
		r.count()
		return strings.Join(r.NotRehearsed, "; ")
	}
	all := left(news.PolicyTwo, nil)
	for _, words := range []string{"submitting", "approving another's", "releasing;", "undoing", "HOLD", "resuming", "correcting", "killing", "cancelling", "releasing alone", "reviewing", "fewer than two"} {
		if !strings.Contains(all, words) {
			t.Errorf("%q lacks %q", all, words)
		}
	}
	if got := left(news.PolicyTwo, map[string]bool{actUndo: true}); strings.Contains(got, "undoing") || !strings.Contains(got, "HOLD") {
		t.Errorf("after an Undo: %q", got)
	}
	if got := left(news.PolicyOne, nil); !strings.Contains(got, "releasing alone (break-glass): no level of this drill needed a second editor") {
		t.Errorf("under one: %q", got)
	}
}
