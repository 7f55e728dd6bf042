package desk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

func TestWholeWay(t *testing.T) {
	d := newDesktop(t)
	d.mem.policies = news.Policies{news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.PolicyTwo, news.LevelNotice: news.PolicyAuto}
	ctx, ok := t.Context(), must(t)

	v := d.draft(t, rika, Writing{})
	if v.Alert.State != news.AlertDraft || v.Alert.Author != "Rika" || v.Alert.Level != news.LevelBulletin {
		t.Fatalf("draft: %+v", v.Alert)
	}
	id, hash := v.Alert.ID, v.Alert.Hash()
	ok(d.Submit(ctx, rika, id))
	ok(d.Approve(ctx, ann, id, hash))
	v = ok(d.Release(ctx, ben, id, hash))
	if v.Alert.State != news.AlertHolding || !v.Alert.HoldUntil.Equal(noon.Add(10*time.Second)) || v.First != nil {
		t.Fatalf("released: %+v", v.Alert)
	}
	if !slices.Equal(d.wake.topics, []string{topicReleases}) {
		t.Errorf("woke %v", d.wake.topics)
	}

	// Undo once: held, resumed, it is back before its release.
	ok(d.Hold(ctx, ann, id, "wait for the second source"))
	v = ok(d.Resume(ctx, ann, id))
	if v.Alert.State != news.AlertApproved || !v.Alert.HoldUntil.IsZero() {
		t.Fatalf("resumed: %+v", v.Alert)
	}
	ok(d.Release(ctx, ben, id, hash))
	if a := d.begin(t, id); a.State != news.AlertSending || a.Revision != 1 {
		t.Fatalf("begun: %+v", a)
	}

	d.wake.topics = nil
	v = ok(d.Correct(ctx, ann, id, map[string]news.Text{"en": {Title: "Weak earthquake", Body: "No tsunami."}}))
	if v.Alert.Revision != 2 || v.Alert.Author != "Ann" || len(v.Repairs) != 1 || v.Repairs[0].Release.Kind != news.ReleaseCorrection {
		t.Fatalf("corrected: %+v", v)
	}
	if v.First.Release.State != news.ReleaseStopped {
		t.Errorf("the original is %s; nothing of it may start any more", v.First.Release.State)
	}
	if !slices.Equal(d.wake.topics, []string{topicControl, topicReleases}) {
		t.Errorf("a correction woke %v", d.wake.topics)
	}

	v = ok(d.Kill(ctx, system, id, "the agency withdrew it"))
	if v.Alert.State != news.AlertKilled || v.Alert.Revision != 3 || len(v.Repairs) != 2 || v.Alert.Reason == "" {
		t.Fatalf("killed: %+v", v)
	}
	kill := v.Repairs[1].Release
	if kill.Kind != news.ReleaseKill || !strings.Contains(kill.Texts["en"].Title, "Weak earthquake") {
		t.Errorf("retraction: %+v", kill.Texts)
	}
	if _, err := d.Resume(ctx, chief, id); !errors.Is(err, news.ErrConflict) {
		t.Errorf("resume of a killed alert: %v", err)
	}
}

// T82, T83: rights and the second person hold in the service, whoever calls it.
func TestWhoMay(t *testing.T) {
	type people []news.Person
	for _, c := range []struct {
		step   step
		may    people
		mayNot people
	}{
		{stepDraft, people{system, rika, ann, chief}, people{cms, {}}},
		{stepSubmit, people{system, rika, ann, chief}, people{cms, {}}},
		{stepEdit, people{system, rika, ann, chief}, people{cms, {}}},
		{stepApprove, people{system, ann, chief}, people{rika, cms, demoted, {}}},
		{stepRelease, people{system, ann, chief}, people{rika, cms, demoted, {}}},
		{stepHold, people{system, ann, chief}, people{rika, cms, demoted, {}}},
		{stepResume, people{system, ann, chief}, people{rika, cms, demoted, {}}},
		{stepCancel, people{system, ann, chief}, people{rika, cms, demoted, {}}},
		{stepKill, people{system, ann, chief}, people{rika, cms, demoted, {}}},
		{stepCorrect, people{system, ann, chief}, people{rika, cms, demoted, {}}},
	} {
		for _, p := range c.may {
			if err := may(p, c.step); err != nil {
				t.Errorf("%s by %s: %v", c.step, p.Name, err)
			}
		}
		for _, p := range c.mayNot {
			if err := may(p, c.step); !errors.Is(err, news.ErrForbidden) {
				t.Errorf("%s by %q is not refused: %v", c.step, p.Name, err)
			}
			d := newDesktop(t)
			id := d.draft(t, ann, Writing{}).Alert.ID
			if err := d.doStep(t.Context(), c.step, p, id); !errors.Is(err, news.ErrForbidden) {
				t.Errorf("%s by %q through the service: %v", c.step, p.Name, err)
			}
		}
	}
}

// doStep takes one step with the alert's own hash.
func (d *desktop) doStep(ctx context.Context, s step, by news.Person, id string) error {
	a, err := d.mem.Alert(ctx, id)
	if err != nil {
		return err
	}
	texts := map[string]news.Text{"en": {Title: "Corrected", Body: "Whole by itself."}}
	switch s {
	case stepDraft:
		_, err = d.Draft(ctx, by, Writing{StoryURI: a.StoryURI})
	case stepEdit:
		_, err = d.Edit(ctx, by, id, Writing{Texts: map[string]news.Text{"en": {Title: "Edited by " + by.Name}}})
	case stepSubmit:
		_, err = d.Submit(ctx, by, id)
	case stepApprove:
		_, err = d.Approve(ctx, by, id, a.Hash())
	case stepRelease:
		_, err = d.Release(ctx, by, id, a.Hash())
	case stepHold:
		_, err = d.Hold(ctx, by, id, "")
	case stepResume:
		_, err = d.Resume(ctx, by, id)
	case stepCancel:
		_, err = d.Cancel(ctx, by, id, "")
	case stepKill:
		_, err = d.Kill(ctx, by, id, "")
	case stepCorrect:
		_, err = d.Correct(ctx, by, id, texts)
	}
	return err
}

func TestTwoEditors(t *testing.T) {
	type move struct {
		step step
		by   news.Person
	}
	for _, c := range []struct {
		name  string
		moves []move // the last one is judged
		want  error
	}{
		{"author approves her own", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepApprove, ann}}, news.ErrForbidden},
		{"submitter approves", []move{{stepDraft, ann}, {stepSubmit, ben}, {stepApprove, ben}}, news.ErrForbidden},
		{"admin key approves", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepApprove, system}}, news.ErrForbidden},
		{"admin key approves a system draft", []move{{stepDraft, system}, {stepApprove, system}}, news.ErrForbidden},
		{"release without approval", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepRelease, ben}}, news.ErrForbidden},
		{"second editor approves, author releases", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepApprove, ben}, {stepRelease, ann}}, nil},
		{"approved unsubmitted by a second editor", []move{{stepDraft, ann}, {stepApprove, ben}, {stepRelease, ben}}, nil},
		{"admin key releases what two approved", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepApprove, ben}, {stepRelease, system}}, news.ErrForbidden},
		{"one editor on a system draft", []move{{stepDraft, system}, {stepApprove, ann}}, news.ErrConflict},
		{"one editor on a draft the system submitted", []move{{stepDraft, system}, {stepSubmit, system}, {stepApprove, ann}}, news.ErrConflict},
		{"one editor, submitting and approving a system draft", []move{{stepDraft, system}, {stepSubmit, ann}, {stepApprove, ann}}, news.ErrForbidden},
		{"two editors on a system draft", []move{{stepDraft, system}, {stepSubmit, ann}, {stepApprove, ben}, {stepRelease, ann}}, nil},
		{"edit voids the approval", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepApprove, ben}, {stepEdit, ben}, {stepRelease, ann}}, news.ErrForbidden},
		{"the one who edited last can't approve", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepEdit, ben}, {stepApprove, ben}}, news.ErrForbidden},
		{"the first author approves the other's edit", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepEdit, ben}, {stepApprove, ann}, {stepRelease, ann}}, nil},
		{"held in the countdown and resumed, the approval stands", []move{{stepDraft, ann}, {stepSubmit, ann}, {stepApprove, ben}, {stepRelease, ann}, {stepHold, ann}, {stepResume, ann}, {stepRelease, ann}}, nil},
		{"the admin key may always hold", []move{{stepDraft, ann}, {stepHold, system}}, nil},
		{"the admin key may always kill", []move{{stepDraft, ann}, {stepKill, system}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesktop(t)
			d.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
			id := d.draft(t, c.moves[0].by, Writing{}).Alert.ID
			for i, m := range c.moves[1:] {
				err := d.doStep(t.Context(), m.step, m.by, id)
				if last := i == len(c.moves)-2; last {
					if !errors.Is(err, c.want) {
						t.Errorf("%s by %s: %v, want %v", m.step, m.by.Name, err, c.want)
					}
				} else if err != nil {
					t.Fatalf("%s by %s: %v", m.step, m.by.Name, err)
				}
			}
		})
	}
}

// Under two, new words are not the admin key's either: it counts as nobody. It
// may always stop.
func TestSystemCorrectsUnderOneOnly(t *testing.T) {
	for policy, want := range map[news.Policy]error{news.PolicyAuto: nil, news.PolicyOne: nil, news.PolicyTwo: news.ErrForbidden} {
		d := newDesktop(t)
		id := d.draft(t, ann, Writing{}).Alert.ID
		if err := d.doStep(t.Context(), stepRelease, ben, id); err != nil {
			t.Fatal(err)
		}
		*d.time = d.time.Add(time.Minute)
		if _, _, err := d.change(t.Context(), id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
			if a.State == news.AlertSending {
				return news.AlertAction{}, nil
			}
			return news.EndHold(a, s, d.terms(a.Level, news.PolicyOne))
		}); err != nil {
			t.Fatal(err)
		}
		d.mem.policies = news.Policies{news.LevelBulletin: policy}
		texts := map[string]news.Text{"en": {Title: "Corrected", Body: "The number was wrong."}}
		if _, err := d.Correct(t.Context(), system, id, texts); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", policy, err, want)
		}
		if _, err := d.Kill(t.Context(), system, id, ""); err != nil {
			t.Errorf("%s: kill: %v", policy, err)
		}
	}
}

// T83: an approval or a release names what was read; two tabs, an edit in
// between, a hash of another alert, none at all.
func TestHashBinds(t *testing.T) {
	d := newDesktop(t)
	ctx, ok := t.Context(), must(t)
	v := d.draft(t, ann, Writing{})
	id, stale := v.Alert.ID, v.Alert.Hash()
	for name, do := range map[string]func(context.Context, news.Person, string, string) (View, error){"approve": d.Approve, "release": d.Release} {
		if _, err := do(ctx, ben, id, ""); !errors.Is(err, news.ErrInvalid) {
			t.Errorf("%s without a hash: %v", name, err)
		}
	}
	for _, w := range []Writing{
		{Texts: map[string]news.Text{"en": {Title: "Other words"}}},
		{Texts: map[string]news.Text{"ms": {Title: "Bahasa lain"}}},
		{Audience: "ASEAN"},
		{Level: "flash"},
		{Sections: []string{"weather"}},
	} {
		edited := ok(d.Edit(ctx, ann, id, w))
		fresh := edited.Alert.Hash()
		if fresh == stale {
			t.Fatalf("edit %+v does not change the hash", w)
		}
		if _, err := d.Approve(ctx, ben, id, stale); !errors.Is(err, news.ErrConflict) {
			t.Errorf("approve with a stale hash after %+v: %v", w, err)
		}
		if _, err := d.Release(ctx, ben, id, stale); !errors.Is(err, news.ErrConflict) {
			t.Errorf("release with a stale hash after %+v: %v", w, err)
		}
		stale = fresh
	}
	// A deadline, which the hash does not name, is an edit like the others; what
	// changes nothing is none.
	ok(d.Approve(ctx, ben, id, stale))
	v = ok(d.Edit(ctx, chief, id, Writing{Deadline: noon.Add(time.Hour)}))
	if v.Alert.State != news.AlertDraft || v.Alert.Author != chief.Name || v.Alert.Approver != "" || v.Alert.Deadline.IsZero() {
		t.Errorf("after a new deadline: %+v", v.Alert)
	}
	ok(d.Approve(ctx, ben, id, stale))
	v = ok(d.Edit(ctx, ann, id, Writing{Deadline: noon.Add(time.Hour)}))
	if v.Alert.State != news.AlertApproved || v.Alert.Author != chief.Name {
		t.Errorf("after the same deadline: %+v", v.Alert)
	}
	ok(d.Release(ctx, ben, id, stale))
	if _, err := d.Edit(ctx, ann, id, Writing{Level: "notice"}); !errors.Is(err, news.ErrConflict) {
		t.Errorf("edit during the countdown: %v", err)
	}
}

func TestReleaseByPolicy(t *testing.T) {
	for _, c := range []struct {
		name   string
		level  string
		policy news.Policy
		by     news.Person
		state  news.AlertState
		wait   time.Duration
		err    error
	}{
		{"one, by an editor, from the draft", "bulletin", news.PolicyOne, ann, news.AlertHolding, 10 * time.Second, nil},
		{"one, by the admin key", "bulletin", news.PolicyOne, system, news.AlertHolding, 10 * time.Second, nil},
		{"a flash waits twice", "flash", news.PolicyOne, ann, news.AlertHolding, 20 * time.Second, nil},
		{"auto has no countdown", "notice", news.PolicyAuto, ann, news.AlertSending, 0, nil},
		{"auto flash has none either", "flash", news.PolicyAuto, system, news.AlertSending, 0, nil},
		{"two, by the admin key", "flash", news.PolicyTwo, system, "", 0, news.ErrForbidden},
		{"a feed's key", "bulletin", news.PolicyOne, cms, "", 0, news.ErrForbidden},
		{"a feed's key, auto", "flash", news.PolicyAuto, cms, "", 0, news.ErrForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesktop(t)
			level, _ := news.ParseLevel(c.level)
			d.mem.policies[level] = c.policy
			a := d.draft(t, ann, Writing{Level: c.level}).Alert
			v, err := d.Release(t.Context(), c.by, a.ID, a.Hash())
			if !errors.Is(err, c.err) || err == nil && v.Alert.State != c.state {
				t.Fatalf("%s, %v; want %s, %v", v.Alert.State, err, c.state, c.err)
			}
			if c.state == news.AlertHolding && v.Alert.HoldUntil.Sub(noon) != c.wait {
				t.Errorf("waits %s, want %s", v.Alert.HoldUntil.Sub(noon), c.wait)
			}
			if c.state == news.AlertSending && (v.First == nil || v.First.Release.Navigate != testStory().URL) {
				t.Errorf("first release: %+v", v.First)
			}
		})
	}
}

// A level the store has no policy for has the default one, not none.
func TestPolicyMissing(t *testing.T) {
	d := newDesktop(t)
	d.mem.policies = news.Policies{}
	a := d.draft(t, ann, Writing{Level: "flash"}).Alert
	v := must(t)(d.Release(t.Context(), ann, a.ID, a.Hash()))
	if v.Alert.State != news.AlertHolding {
		t.Errorf("state %s", v.Alert.State)
	}
}

func TestStoryTakenBack(t *testing.T) {
	d := newDesktop(t)
	ctx, ok := t.Context(), must(t)
	a := d.draft(t, ann, Writing{}).Alert
	ok(d.Release(ctx, ann, a.ID, a.Hash()))
	d.begin(t, a.ID)
	ok(d.Hold(ctx, ann, a.ID, ""))
	for _, status := range []news.PubStatus{news.Withheld, news.Canceled} {
		s := testStory()
		s.Version, s.Status = 2, status
		d.mem.stories[storyURI] = s
		if _, err := d.Resume(ctx, ann, a.ID); !errors.Is(err, news.ErrConflict) {
			t.Errorf("resume while %s: %v", status, err)
		}
		if _, err := d.Correct(ctx, ann, a.ID, nil); !errors.Is(err, news.ErrConflict) {
			t.Errorf("correct while %s: %v", status, err)
		}
	}
	if _, err := d.Draft(ctx, ann, Writing{StoryURI: storyURI}); !errors.Is(err, news.ErrConflict) {
		t.Errorf("draft of a canceled story: %v", err)
	}
	if v := ok(d.Kill(ctx, ann, a.ID, "")); v.Alert.State != news.AlertKilled || len(v.Repairs) != 1 {
		t.Errorf("kill while canceled: %+v", v)
	}
}

// A correction without words takes those of the changed story; languages that
// nobody wrote anew do not repeat the old text.
func TestCorrectTexts(t *testing.T) {
	sent := func(t *testing.T) (*desktop, string) {
		d := newDesktop(t)
		a := d.draft(t, ann, Writing{}).Alert
		must(t)(d.Release(t.Context(), ann, a.ID, a.Hash()))
		d.begin(t, a.ID)
		return d, a.ID
	}
	t.Run("nothing new", func(t *testing.T) {
		d, id := sent(t)
		if _, err := d.Correct(t.Context(), ann, id, nil); !errors.Is(err, news.ErrInvalid) || !strings.Contains(err.Error(), "texts") {
			t.Error(err)
		}
	})
	t.Run("own language missing", func(t *testing.T) {
		d, id := sent(t)
		_, err := d.Correct(t.Context(), ann, id, map[string]news.Text{"id": {Title: "Ralat"}})
		if !errors.Is(err, news.ErrInvalid) || !strings.Contains(err.Error(), "texts/en") {
			t.Error(err)
		}
	})
	t.Run("others fall back", func(t *testing.T) {
		d, id := sent(t)
		v := must(t)(d.Correct(t.Context(), ann, id, map[string]news.Text{"en": {Title: "Corrected"}}))
		if len(v.Repairs[0].Release.Texts) != 1 {
			t.Errorf("repeats old texts: %+v", v.Repairs[0].Release.Texts)
		}
	})
	t.Run("from the story", func(t *testing.T) {
		d, id := sent(t)
		s := testStory()
		s.Version, s.Headline = 2, "Earthquake was weaker"
		d.mem.stories[storyURI] = s
		if v := must(t)(d.Service.Alert(t.Context(), id)); !v.ChangedSince {
			t.Error("not changed since")
		}
		v := must(t)(d.Correct(t.Context(), ann, id, nil))
		texts := v.Repairs[0].Release.Texts
		if texts["en"].Title != s.Headline || texts["id"].Title == "" || v.ChangedSince || v.Alert.StoryVersion != 2 {
			t.Errorf("%+v, %+v", texts, v.Alert)
		}
	})
	// A newer version that is embargoed still gives away nothing: neither its
	// words nor its picture.
	t.Run("embargoed", func(t *testing.T) {
		d, id := sent(t)
		s := testStory()
		s.Version, s.Headline, s.Embargo, s.Image = 2, "A secret", d.time.Add(time.Hour), &news.Image{URL: "https://news.example/secret.jpg"}
		d.mem.stories[storyURI] = s
		if _, err := d.Correct(t.Context(), ann, id, nil); !errors.Is(err, news.ErrInvalid) || !strings.Contains(err.Error(), "embargo") {
			t.Errorf("took the story's words: %v", err)
		}
		v := must(t)(d.Correct(t.Context(), ann, id, map[string]news.Text{"en": {Title: "Corrected"}}))
		if r := v.Repairs[0].Release; len(r.Texts) != 1 || r.Image != "" || v.Alert.StoryVersion != 1 {
			t.Errorf("%+v of version %d", r, v.Alert.StoryVersion)
		}
	})
	t.Run("too early", func(t *testing.T) {
		d := newDesktop(t)
		a := d.draft(t, ann, Writing{}).Alert
		_, err := d.Correct(t.Context(), ann, a.ID, map[string]news.Text{"en": {Title: "Corrected"}})
		if !errors.Is(err, news.ErrConflict) {
			t.Error(err)
		}
	})
}

// A repair tries as long as the original may still arrive.
func TestRepairOutlives(t *testing.T) {
	d := newDesktop(t)
	ok := must(t)
	deadline := noon.Add(20 * time.Hour)
	a := d.draft(t, ann, Writing{Deadline: deadline}).Alert
	ok(d.Release(t.Context(), ann, a.ID, a.Hash()))
	d.begin(t, a.ID)
	v := ok(d.Kill(t.Context(), ann, a.ID, "wrong"))
	if got := v.Repairs[0].Release.Deadline; got.Before(deadline) {
		t.Errorf("the retraction ends at %v, the alert at %v", got, deadline)
	}
}

// A kill that counts is not answered as if it had failed.
func TestKillCountsWithoutFigures(t *testing.T) {
	d := newDesktop(t)
	a := d.draft(t, ann, Writing{}).Alert
	d.mem.broken = errors.New("read replica is down")
	if v, err := d.Kill(t.Context(), ann, a.ID, ""); err != nil || v.Alert.State != news.AlertKilled {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestNavigate(t *testing.T) {
	long := "https://news.example/" + repeat("x", longestNavigate)
	for _, c := range []struct {
		hosts []string
		url   string
		story bool
	}{
		{nil, "https://news.example/a", true},
		{nil, "https://anything.example:8443/a", true},
		{nil, "http://news.example/a", false},
		{nil, "javascript:alert(1)", false},
		{nil, "//evil.example/a", false},
		{nil, "https://user@news.example/a", false},
		{nil, long, false},
		{[]string{"news.example"}, "https://news.example/a", true},
		{[]string{"news.example"}, "https://NEWS.example/a", true},
		{[]string{"News.Example "}, "https://news.example/a", true},
		{[]string{"news.example:443"}, "https://news.example/a", true},
		{[]string{"news.example"}, "https://news.example:443/a", true},
		{[]string{"新聞.example"}, "https://xn--efvv70d.example/a", true},
		{[]string{""}, "https://news.example/a", true},
		{[]string{"not a host"}, "https://news.example/a", false},
		{[]string{"news.example"}, "https://evil.example/news.example", false},
		{[]string{"news.example"}, "https://news.example.evil.example/a", false},
		{[]string{"news.example"}, "https://news.example:444/a", false},
		{[]string{"news.example:444"}, "https://news.example:444/a", true},
	} {
		want := "https://alerts.example/alerts/an%20id"
		if c.story {
			want = c.url
		}
		got := Navigate("https://alerts.example/", c.hosts)(&news.Alert{ID: "an id"}, &news.Story{URL: c.url})
		if got != want {
			t.Errorf("%v %s: opens %s, want %s", c.hosts, c.url, got, want)
		}
	}
}
