package desk

import (
	"strconv"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// statusView is the block "status", which an open page is sent anew whenever
// it changes.
type statusView struct {
	ID, State, Level, Hash string
	Says                   string // the state in a sentence
	Until                  string // of the countdown, RFC 3339; "" when there is none
	Author, Submitter      string
	Approver, Releaser     string
	Reason                 string
	Stopped                *stopView // nil: nothing stops it
	Texts                  []textView
	Words                  string // the audience
	Counts                 news.Counts
	Released, Unmeasured   bool
	Final                  bool // the last of its story
	Undone                 bool // on hold since its countdown
	Corrected              bool // the words are a correction's, the names the original's
	Done                   int  // per cent of the intended that need nothing any more
	P50, P90, P99          string
	Repairs                []repairView
	ChangedSince           bool
	Policy                 news.Policy // who must agree, while it can still change
	Room                   string      // the level's cap and whether it is full, while that matters
	Dateline               string
	// Others are alerts about the same story that somebody is writing.
	Others []alertedView
}

// stopView is who stopped an alert, and when.
type stopView struct{ Did, By, At string }

// undoneWords are the reason that an Undo gives.
const undoneWords = "undone in the countdown"

// stopOf says who stopped the alert; nil when nothing does.
func stopOf(a *news.Alert) *stopView {
	if a.StoppedBy == "" {
		return nil
	}
	v := &stopView{By: a.StoppedBy, At: clockTime(a.StoppedAt)}
	switch {
	case a.State == news.AlertKilled:
		v.Did = "Killed by"
	case a.State == news.AlertCancelled:
		v.Did = "Cancelled by"
	case a.State == news.AlertHeld && a.HeldFrom == news.AlertHolding:
		v.Did = "Undone in the countdown by"
	case a.State == news.AlertHeld:
		v.Did = "Put on hold by"
	default:
		return nil
	}
	return v
}

// reasonOf is the reason that the page shows: not what it says already.
func reasonOf(a *news.Alert) string {
	if a.Reason == undoneWords {
		return ""
	}
	return a.Reason
}

type repairView struct {
	Kind, State, At string
	Counts          news.Counts
	Done            int // per cent of the intended that need nothing any more
}

// done is how many of a hundred intended need nothing any more.
func done(c news.Counts) int {
	if c.Intended == 0 {
		return 0
	}
	return (c.Intended - c.Pending - c.Held) * 100 / c.Intended
}

// stateName is what the pages call a state. On them "holding" and "held" beside a
// HOLD button would say the opposite of what they mean.
func stateName(state string) string {
	switch news.AlertState(state) {
	case news.AlertHolding:
		return "counting down"
	case news.AlertHeld:
		return "on hold"
	}
	return state
}

// Name is what the page calls the state.
func (s statusView) Name() string { return stateName(s.State) }

// Name is what a line calls the state.
func (v alertedView) Name() string { return stateName(v.State) }

// Name is what the list calls the state.
func (v lineView) Name() string { return stateName(v.State) }

// stateWords says where an alert stands.
func stateWords(a *news.Alert) string {
	switch a.State {
	case news.AlertDraft:
		return "A draft. Nobody but the desk sees it."
	case news.AlertSubmitted:
		return "Waits for another editor's approval."
	case news.AlertApproved:
		return "Approved. It goes when it is released."
	case news.AlertHolding:
		return "Counting down. Nothing has gone yet, and an editor can undo it."
	case news.AlertSending:
		return "Going out now."
	case news.AlertSent:
		return "Has gone to everybody it could reach."
	case news.AlertHeld:
		if a.HeldFrom == news.AlertHolding {
			return "Undone: nothing has gone out. It can go back to where it was before its release, to be changed or released anew."
		}
		return "On hold: no send starts until somebody resumes it."
	case news.AlertCancelled:
		return "Cancelled. What had gone stays with its readers."
	case news.AlertKilled:
		return "Killed. Whoever was sent it gets the retraction."
	}
	return string(a.State)
}

// canaryWords says more of an alert whose first few decide about the rest.
func canaryWords(state news.AlertState, phase news.Phase, otherwise string) string {
	switch {
	case state == news.AlertSending && phase == news.PhaseCanary:
		return "Going out to the first few. Everybody else follows when they have answered, after 3 seconds at most."
	case state == news.AlertHeld && phase == news.PhasePaused:
		return "Paused: the first few went badly. Resume sends it to everybody else."
	}
	return otherwise
}

func statusOf(v View, story *news.Story) statusView {
	a := &v.Alert
	s := statusView{ID: a.ID, State: string(a.State), Level: a.Level.String(), Hash: a.Hash(), Says: stateWords(a), Author: a.Author,
		Submitter: a.Submitter, Approver: a.Approver, Releaser: a.Releaser, Reason: reasonOf(a), Stopped: stopOf(a), Texts: textsOf(a),
		Words: region.Words(a.Audience, "en"), ChangedSince: v.ChangedSince, Unmeasured: v.Unmeasured, Final: a.Final,
		Dateline: region.Dateline(region.DatelinePlace(story.Regions), story.Created, "en")}
	if a.State == news.AlertHolding {
		s.Until = a.HoldUntil.UTC().Format(time.RFC3339)
		if !story.Embargo.IsZero() && story.Embargo.Equal(a.HoldUntil) {
			s.Says = "Waits for the end of the story's embargo, " + clockTime(a.HoldUntil) + ". Nothing has gone yet, and an editor can undo it."
		}
	}
	s.Undone = a.State == news.AlertHeld && a.HeldFrom == news.AlertHolding
	if v.First == nil {
		return s
	}
	s.Released, s.Counts = true, v.First.Figures.Counts
	s.Says = canaryWords(a.State, v.First.Release.Phase, s.Says)
	s.Done = done(s.Counts)
	t := v.First.Figures.Timing
	s.P50, s.P90, s.P99 = seconds(quantile(t, 0.5)), seconds(quantile(t, 0.9)), seconds(quantile(t, 0.99))
	for _, r := range v.Repairs {
		s.Corrected = s.Corrected || r.Release.Kind == news.ReleaseCorrection
		s.Repairs = append(s.Repairs, repairView{string(r.Release.Kind), string(r.Release.State), clockTime(r.Release.ReleasedAt), r.Figures.Counts, done(r.Figures.Counts)})
	}
	return s
}

// under adds who must agree, while that still matters: an open page is asked for
// again when a chief changes it.
func (s statusView) under(policyOf func(news.Level) news.Policy) statusView {
	if s.Released || s.State == string(news.AlertCancelled) || s.State == string(news.AlertKilled) {
		return s
	}
	if level, err := news.ParseLevel(s.Level); err == nil {
		s.Policy = policyOf(level)
	}
	return s
}

// Agreement says the policy in a sentence.
func (s statusView) Agreement() string {
	switch s.Policy {
	case news.PolicyAuto:
		return "At this level nobody has to agree: a release goes at once, without a countdown, and can't be undone."
	case news.PolicyOne:
		return "At this level one editor releases."
	case news.PolicyTwo:
		return "At this level two different editors must agree."
	}
	return ""
}

func seconds(s *float64) string {
	if s == nil {
		return "—"
	}
	return strconv.FormatFloat(*s, 'f', 2, 64) + " s"
}
