package audience

// Reason says why a device gets an alert or does not. Metrics show the codes;
// the readers' pages put them into words.
type Reason string

// The reasons, in the order they are looked for: the first that holds is given.
const (
	Gone        Reason = "gone"         // the push service no longer knows the device
	Left        Reason = "left"         // the reader left
	AlreadySent Reason = "already-sent" // this story, at this level, went to it before
	NotFollowed Reason = "not-followed" // the places do not meet
	MutedPlace  Reason = "muted-place"  // they would, but for a mute
	Section     Reason = "section"      // other sections
	Level       Reason = "level"        // not loud enough for her
	Language    Reason = "language"     // onlyLanguage, and no text in it
	MutedStory  Reason = "muted-story"
	OverStory   Reason = "over-story" // only when it's over, and it is not
	Paused      Reason = "paused"
	Quarantined Reason = "quarantined" // the audience-loss breaker took the device out
	HeldQuiet   Reason = "held-quiet"  // planned, and judged again when her quiet hours end
	Capped      Reason = "capped"      // as many today as she wants
	StoryOver   Reason = "story-over"  // only when it's over, and it is
	Matched     Reason = "matched"
)

// Reasons lists every reason, in the order they are looked for.
func Reasons() []Reason {
	return []Reason{Gone, Left, AlreadySent, NotFollowed, MutedPlace, Section, Level, Language,
		MutedStory, OverStory, Paused, Quarantined, HeldQuiet, Capped, StoryOver, Matched}
}

// Planned reports whether a device with this reason is in the plan.
func (r Reason) Planned() bool { return r.Goes() || r == HeldQuiet }

// Goes reports whether a device with this reason is sent to now.
func (r Reason) Goes() bool { return r == Matched || r == StoryOver }

// code is a Reason as the cells' scan counts it: its place in Reasons. The
// zero code is "not judged yet".
type code uint8

const (
	codeNone code = iota
	codeGone
	codeLeft
	codeAlreadySent
	codeNotFollowed
	codeMutedPlace
	codeSection
	codeLevel
	codeLanguage
	codeMutedStory
	codeOverStory
	codePaused
	codeQuarantined
	codeHeldQuiet
	codeCapped
	codeStoryOver
	codeMatched
	codes
)

// goes and planned are Reason.Goes and Reason.Planned.
func (c code) goes() bool    { return c == codeMatched || c == codeStoryOver }
func (c code) planned() bool { return c.goes() || c == codeHeldQuiet }

func (c code) reason() Reason {
	if c == codeNone || c >= codes {
		return ""
	}
	return Reasons()[c-1]
}
