package audience

// Reason says why a device gets an alert or does not. The words are part of
// the API: pages and metrics show them.
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

// Words is the reason as a sentence to the reader.
func Words(r Reason) string {
	switch r {
	case Gone:
		return "Your browser's push service no longer knows this device."
	case Left:
		return "You have unsubscribed this device."
	case AlreadySent:
		return "You had been sent this story before."
	case NotFollowed:
		return "You do not follow a place that this alert is about."
	case MutedPlace:
		return "You have muted the place that this alert is about."
	case Section:
		return "It is filed under sections that you have not chosen."
	case Level:
		return "It is less urgent than what you asked for from this place."
	case Language:
		return "You asked for alerts in your language only, and there is no text in it."
	case MutedStory:
		return "You have muted this story."
	case OverStory:
		return "You asked to hear of this story again only when it is over."
	case Paused:
		return "You have paused alerts."
	case Quarantined:
		return "Sending to this device is suspended while we check why so many devices stopped answering."
	case HeldQuiet:
		return "These are your quiet hours; it waits until they end."
	case Capped:
		return "You have had as many alerts today as you asked for."
	case StoryOver:
		return "You asked to be told when this story is over."
	case Matched:
		return "You follow a place that this alert is about, and it is urgent enough for you."
	}
	return "We do not know why."
}

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
