package desk

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/news"
)

// TestWalk takes random steps by random people under random policies and holds
// what came of them against the rules, told again from the outside: who did
// what to which content.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWalk(t.Context(), rt)
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			w.step(rt)
			w.judge(rt)
		}
	})
}

type walk struct {
	*desktop
	ctx    context.Context
	id     string
	policy news.Policy
	// approved are the editors who approved a content, by hash; hands are those
	// who wrote it last or submitted it.
	approved map[string]map[string]bool
	hands    map[string]map[string]bool
	released news.Alert // as it was when its last release was pressed
	killed   bool
	sent     int // releases seen so far
}

func newWalk(ctx context.Context, rt *rapid.T) *walk {
	w := &walk{desktop: makeDesktop(testStory()), ctx: ctx, approved: map[string]map[string]bool{}, hands: map[string]map[string]bool{}}
	w.policy = rapid.SampledFrom([]news.Policy{news.PolicyAuto, news.PolicyOne, news.PolicyTwo}).Draw(rt, "policy")
	w.mem.policies = news.Policies{news.LevelBulletin: w.policy}
	by := w.somebody(rt, ann, ben, rika, system)
	v, err := w.Draft(ctx, by, Writing{StoryURI: storyURI})
	if err != nil {
		rt.Fatal(err)
	}
	w.id = v.Alert.ID
	w.note(w.hands, v.Alert.Hash(), by.Name)
	return w
}

func (w *walk) somebody(rt *rapid.T, people ...news.Person) news.Person {
	return rapid.SampledFrom(people).Draw(rt, "by")
}

func (w *walk) note(m map[string]map[string]bool, hash, name string) {
	if m[hash] == nil {
		m[hash] = map[string]bool{}
	}
	m[hash][name] = true
}

// step takes one step and notes it when it succeeded.
func (w *walk) step(rt *rapid.T) {
	by := w.somebody(rt, ann, ben, chief, rika, cms, demoted, system)
	s := rapid.SampledFrom([]step{stepEdit, stepSubmit, stepApprove, stepRelease, stepHold, stepResume, stepCancel,
		stepKill, stepCorrect, "countdown", "withhold", "restore"}).Draw(rt, "step")
	before, _ := w.mem.Alert(w.ctx, w.id)
	switch s {
	case "countdown":
		*w.time = w.time.Add(30 * time.Second)
		_, _, _ = w.change(w.ctx, w.id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
			return news.EndHold(a, s, w.terms(a.Level, w.policy))
		})
		return
	case "withhold", "restore":
		story := w.mem.stories[storyURI]
		story.Version++
		story.Status = map[step]news.PubStatus{"withhold": news.Withheld, "restore": news.Usable}[s]
		w.mem.stories[storyURI] = story
		return
	}
	err := w.doStep(w.ctx, s, by, w.id)
	if err != nil {
		after, _ := w.mem.Alert(w.ctx, w.id)
		if after.State != before.State || after.Hash() != before.Hash() || after.Revision != before.Revision {
			rt.Fatalf("%s by %s failed (%v) and changed the alert", s, by.Name, err)
		}
		return
	}
	if !by.System && (by.Name == cms.Name || by.Name == "") {
		rt.Fatalf("%s by %s, who may nothing", s, by.Name)
	}
	if (by.Name == rika.Name || by.Name == demoted.Name) && s != stepEdit && s != stepSubmit {
		rt.Fatalf("%s by a reporter", s)
	}
	after, _ := w.mem.Alert(w.ctx, w.id)
	switch s {
	case stepEdit:
		if after.Hash() != before.Hash() {
			w.approved, w.hands = map[string]map[string]bool{}, map[string]map[string]bool{}
			w.note(w.hands, after.Hash(), by.Name)
		}
	case stepSubmit:
		w.note(w.hands, after.Hash(), by.Name)
	case stepApprove:
		w.note(w.approved, after.Hash(), by.Name)
	case stepRelease:
		w.released = after
		w.checkRelease(rt, by, after)
	case stepKill:
		w.killed = true
	}
}

// checkRelease: never without the policy's people behind exactly this content.
func (w *walk) checkRelease(rt *rapid.T, by news.Person, a news.Alert) {
	if w.policy != news.PolicyTwo {
		return
	}
	if by.System {
		rt.Fatal("the system released under two")
	}
	editors := map[string]bool{}
	for name := range w.approved[a.Hash()] {
		editors[name] = true
	}
	if len(editors) == 0 {
		rt.Fatal("released under two without an approval of this content")
	}
	for name := range w.hands[a.Hash()] {
		editors[name] = true
	}
	delete(editors, news.SystemName)
	if len(editors) < 2 {
		rt.Fatalf("released under two by %v alone", editors)
	}
}

// judge holds the whole state against what must always be true.
func (w *walk) judge(rt *rapid.T) {
	a, _ := w.mem.Alert(w.ctx, w.id)
	if w.killed && a.State != news.AlertKilled {
		rt.Fatalf("killed, and now %s", a.State)
	}
	sending := 0
	for i, r := range w.mem.releases {
		if r.State == news.ReleaseSending {
			sending++
		}
		if i >= w.sent && r.Kind == news.ReleaseAlert {
			snapshot := w.released
			if a.Releaser == "" || news.Text(r.Texts["en"]) != snapshot.Texts["en"] {
				rt.Fatalf("sent %q, released was %q", r.Texts["en"].Title, snapshot.Texts["en"].Title)
			}
		}
		if r.Kind == news.ReleaseAlert && w.killed && r.State == news.ReleaseSending {
			rt.Fatal("a killed alert is still being sent")
		}
		if r.Revision != i+1 {
			rt.Fatalf("release %d has revision %d", i, r.Revision)
		}
	}
	w.sent = len(w.mem.releases)
	if sending > 1 {
		rt.Fatalf("%d releases of one alert are sending", sending)
	}
	switch a.State {
	case news.AlertHeld, news.AlertCancelled:
		if sending > 0 {
			rt.Fatalf("%s, and a release is sending", a.State)
		}
	case news.AlertHolding:
		if a.HoldUntil.IsZero() {
			rt.Fatal("a countdown without an end")
		}
	}
}
