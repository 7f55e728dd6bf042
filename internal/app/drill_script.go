package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"dateline/internal/desk"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

// DrillRun are the flags of `dateline drill`.
type DrillRun struct {
	Devices  int
	JSON     bool
	Out      io.Writer
	Progress *Progress // on standard error; nil: none
}

// Two people who do not exist act in the script.
const (
	scriptAuthor = "Ann (script)"
	scriptSecond = "Bao (script)"
)

// script is a drill without a desk: two people made of code go the whole way.
type script struct {
	*drill
	run    DrillRun
	alert  string
	faults []string
}

// Drill runs the scripted drill and prints its report. It fails when something
// did not work.
func Drill(ctx context.Context, run DrillRun) (err error) {
	if run.Devices < 10 || run.Devices > drillDevicesMost {
		return news.Invalid("--devices", "must be 10 to %d", drillDevicesMost)
	}
	folder, unlock, err := scriptFolder(os.TempDir())
	if err != nil {
		return err
	}
	defer unlock()
	two := news.Policies{news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.PolicyTwo, news.LevelNotice: news.PolicyTwo}
	d, err := openDrill(ctx, drillOptions{Folder: folder, Devices: run.Devices, Mood: moodHealthy, Policies: two, Hold: time.Second, Canary: true,
		By: "dateline drill", BaseURL: drillSite})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	s := &script{drill: d, run: run}
	d.begin(ctx)
	failed := s.play(ctx)
	d.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed != nil {
		s.fault("%v", failed)
	}
	return s.tell(ctx)
}

// tell prints the report, with what the script found beside it.
func (s *script) tell(ctx context.Context) error {
	r, err := s.report(ctx, "dateline drill", "at the end of its script")
	if err != nil {
		return err
	}
	s.checkPhones(r)
	r.Faults = append(r.Faults, s.faults...)
	if s.run.Progress != nil {
		s.run.Progress.Done()
	}
	if s.run.JSON {
		e := json.NewEncoder(s.run.Out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		_, err = io.WriteString(s.run.Out, r.Text())
	}
	if err == nil && len(r.Faults) > 0 {
		err = fmt.Errorf("the drill found %s", number(len(r.Faults), "fault", "faults"))
	}
	return err
}

func (s *script) fault(words string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(words, args...))
}

func (s *script) say(words string, args ...any) {
	if s.run.Progress != nil {
		s.run.Progress.Line("DRILL  " + fmt.Sprintf(words, args...))
	}
}

// play takes every step there is; one that should be refused is tried first.
func (s *script) play(ctx context.Context) error {
	for _, scene := range []struct {
		says string
		play func(context.Context) error
	}{
		{"loading the devices", s.load},
		{"a story comes in; it is written, submitted and approved by a second editor", s.write},
		{"released, undone in the countdown, and released again", s.release},
		{"HOLD in the middle of the send, and resumed", s.hold},
		{"corrected while it still goes out", s.correct},
		{"killed while the correction goes out", s.kill},
		{"a second story: released alone, undone by the other, reviewed and cancelled", s.alone},
	} {
		s.say("%s", scene.says)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.says, err)
		}
	}
	return nil
}

func (s *script) load(ctx context.Context) error {
	for _, service := range s.services {
		service.SetRate(s.pace())
	}
	return s.until(ctx, func() (bool, error) { _, all := s.ready(); return all, nil })
}

func person(name string) news.Person {
	return news.Person{Name: name, Role: news.RoleEditor, Scopes: desk.RoleScopes(news.RoleEditor), SignedIn: true}
}

func (s *script) write(ctx context.Context) error {
	a, err := s.drafted(ctx)
	if err != nil {
		return err
	}
	author, second := person(scriptAuthor), person(scriptSecond)
	s.alert = a.ID
	v, err := s.desk.Edit(ctx, author, s.alert, desk.Writing{Audience: "142",
		Texts: map[string]news.Text{"en": {Title: "A rehearsal: strong earthquake", Body: "Nothing has happened. Two people made of code rehearse."}}})
	if err != nil {
		return err
	}
	if v, err = s.desk.Submit(ctx, author, s.alert); err != nil {
		return err
	}
	hash := v.Alert.Hash()
	if _, err := s.desk.Release(ctx, author, s.alert, hash); !errors.Is(err, news.ErrForbidden) {
		s.fault("a release without the second editor was not refused: %v", err)
	}
	if _, err := s.desk.Approve(ctx, author, s.alert, hash); !errors.Is(err, news.ErrForbidden) {
		s.fault("approving one's own alert was not refused: %v", err)
	}
	if _, err := s.desk.Approve(ctx, second, s.alert, "another content"); !errors.Is(err, news.ErrConflict) {
		s.fault("an approval of another content was not refused: %v", err)
	}
	_, err = s.desk.Approve(ctx, second, s.alert, hash)
	return err
}

func (s *script) release(ctx context.Context) error {
	v, err := s.desk.Alert(ctx, s.alert)
	if err != nil {
		return err
	}
	hash := v.Alert.Hash()
	if _, err = s.desk.Release(ctx, person(scriptAuthor), s.alert, hash); err != nil {
		return err
	}
	if _, err = s.desk.Hold(ctx, person(scriptSecond), s.alert, "undone in the countdown"); err != nil {
		return err
	}
	if v, err = s.desk.Resume(ctx, person(scriptSecond), s.alert); err != nil {
		return err
	}
	if v.First != nil {
		s.fault("something went out before the countdown was over")
	}
	_, err = s.desk.Release(ctx, person(scriptAuthor), s.alert, hash)
	return err
}

func (s *script) hold(ctx context.Context) error {
	if err := s.accepted(ctx, 0.2); err != nil {
		return err
	}
	if _, err := s.desk.Hold(ctx, person(scriptSecond), s.alert, "rehearsed"); err != nil {
		return err
	}
	// Long enough that a send which goes on is seen: the report names the last
	// one that started after the press.
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := s.desk.Resume(ctx, person(scriptSecond), s.alert)
	return err
}

func (s *script) correct(ctx context.Context) error {
	if err := s.accepted(ctx, 0.5); err != nil {
		return err
	}
	texts := map[string]news.Text{"en": {Title: "Correction of a rehearsal: moderate earthquake", Body: "Nothing has happened, and less of it."}}
	_, err := s.desk.Correct(ctx, person(scriptAuthor), s.alert, texts)
	return err
}

func (s *script) kill(ctx context.Context) error {
	if err := s.accepted(ctx, 0.6); err != nil {
		return err
	}
	if _, err := s.desk.Kill(ctx, person(scriptSecond), s.alert, "rehearsed"); err != nil {
		return err
	}
	return s.settled(ctx)
}

// alone is the way round the second editor, with all that follows it. The
// countdown, half a minute at least, is not waited for: the other undoes it.
func (s *script) alone(ctx context.Context) error {
	author, second := person(scriptAuthor), person(scriptSecond)
	a, err := s.drafted(ctx)
	if err != nil {
		return err
	}
	press := desk.Pressing{Hash: a.Hash(), Alone: true, Reason: "nobody answers, and it can't wait"}
	if _, err = s.desk.Press(ctx, author, a.ID, press); err != nil {
		return err
	}
	if _, err = s.desk.Hold(ctx, second, a.ID, "it can wait"); err != nil {
		return err
	}
	open, err := s.store.EmergenciesOfAlert(ctx, a.ID)
	if err != nil {
		return err
	}
	if len(open) != 1 {
		return fmt.Errorf("%d releases wait for their review, and should one", len(open))
	}
	if _, err := s.desk.Review(ctx, author, open[0].ID, "I think I was right"); !errors.Is(err, news.ErrForbidden) {
		s.fault("reviewing one's own release was not refused: %v", err)
	}
	if _, err := s.desk.Review(ctx, second, open[0].ID, "undone: the second editor was there"); err != nil {
		return err
	}
	_, err = s.desk.Cancel(ctx, second, a.ID, "rehearsed")
	return err
}

// drafted brings the next story in and gives the alert that it drafted.
func (s *script) drafted(ctx context.Context) (news.Alert, error) {
	in, err := s.injectNext(ctx, scriptAuthor)
	if err != nil {
		return news.Alert{}, err
	}
	for _, service := range s.services { // a story sets the pace of its mood
		service.SetRate(s.pace())
	}
	views, err := s.desk.AlertsOfStory(ctx, in.URI)
	if err != nil {
		return news.Alert{}, err
	}
	if len(views) != 1 {
		return news.Alert{}, fmt.Errorf("the story drafted %d alerts, and should one", len(views))
	}
	return views[0].Alert, nil
}

// pace is that of each service: all devices in about six seconds, so that there
// is a middle to stop in.
func (s *script) pace() float64 { return max(2, float64(s.Devices)/float64(len(s.services))/6) }

// accepted waits until a share of the newest release has been accepted.
func (s *script) accepted(ctx context.Context, share float64) error {
	return s.until(ctx, func() (bool, error) {
		v, err := s.desk.Alert(ctx, s.alert)
		if err != nil || v.First == nil {
			return false, err
		}
		newest := *v.First
		if n := len(v.Repairs); n > 0 {
			newest = v.Repairs[n-1]
		}
		c := newest.Figures.Counts
		return c.Reachable > 0 && float64(c.Accepted) >= share*float64(c.Reachable-c.Held), nil
	})
}

// settled waits until every release has nothing left to do but to wait for
// readers to wake up.
func (s *script) settled(ctx context.Context) error {
	return s.until(ctx, func() (bool, error) {
		active, err := s.store.ActiveReleases(ctx)
		return len(active) == 0, err
	})
}

// sceneFor and phoneFor bound a scene. 50,000 phones took 94 s to load, and 52 s
// to be sent to, on two cores that six others used (2026-11): a slow machine is
// no fault of the drill.
const (
	sceneFor = 2 * time.Minute
	phoneFor = 10 * time.Millisecond
)

// until waits for a scene; a drill whose parts have ended does nothing more.
func (s *script) until(ctx context.Context, done func() (bool, error)) error {
	p := patience{every: 10 * time.Millisecond, most: sceneFor + time.Duration(s.Devices)*phoneFor}
	return p.until(ctx, func() (bool, error) {
		select {
		case <-s.stopped:
			return false, cmpErr(s.failure)
		default:
			return done()
		}
	})
}

// checkPhones holds the phones against the end of the script: whoever got
// anything shows the retraction, under the drill's word.
func (s *script) checkPhones(r DrillReport) {
	if len(r.Alerts) != 2 || r.Alerts[0].State != string(news.AlertKilled) || r.Alerts[1].State != string(news.AlertCancelled) {
		s.fault("the script did not come to its end: %s", number(len(r.Alerts), "alert", "alerts"))
		return
	}
	if len(r.NotRehearsed) > 0 {
		s.fault("the script left out: %v", r.NotRehearsed)
	}
	last := r.Alerts[0].Releases[len(r.Alerts[0].Releases)-1].Revision
	without, unmarked := 0, 0
	for _, p := range s.phones {
		for _, n := range p.Shown() {
			if n.Revision != last {
				without++
			}
			if !marked(n) {
				unmarked++
			}
		}
	}
	if without > 0 {
		s.fault("%d phones still show what was killed", without)
	}
	if unmarked > 0 {
		s.fault("%d phones show a text without the word DRILL", unmarked)
	}
}

func marked(n simulate.Notification) bool {
	return len(n.Title) > len(drillMark) && n.Title[:len(drillMark)] == drillMark
}
