package news

import "time"

// StoryEvent is one message about a story as it came in, unread: from the
// stream, over HTTP, or out of the dead letters.
type StoryEvent struct {
	Subject  string
	Headers  map[string][]string
	Body     []byte
	Sequence uint64 // in stream STORIES; 0: it did not come from there
	// Deliveries is 1 the first time; more: it came back without an answer, or
	// was put off. An embedded server that was killed may have forgotten some.
	Deliveries int
	At         time.Time
}

// Disposition is what shall become of a StoryEvent that was handled. The zero
// value puts it off without delay, so that a forgotten answer loses nothing.
type Disposition struct {
	Done   bool          // its effects are committed: it never comes back
	Reason string        // with Done: why it was set aside instead of stored; no text of the story in it
	After  time.Duration // without Done: it comes back after this long
}

// Ack says that the event's effects are committed.
func Ack() Disposition { return Disposition{Done: true} }

// Term says that the event was set aside for good, and why.
func Term(reason string) Disposition { return Disposition{Done: true, Reason: reason} }

// Later asks for the event again after the delay.
func Later(after time.Duration) Disposition { return Disposition{After: after} }
