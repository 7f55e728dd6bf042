package news

import "time"

// Phone is a browser in which an editor wants to be called when something waits
// for her.
type Phone struct {
	ID        string
	Editor    string
	Role      Role // the one its editor has now
	Push      PushSubscription
	CreatedAt time.Time
}

// Call is why editors are called.
type Call string

// The calls.
const (
	CallApprove Call = "approve" // an alert waits for a second editor
	CallAlone   Call = "alone"   // one was released by one editor where two are asked for
	CallPaused  Call = "paused"  // the first sends of one failed, and it waits
	CallKilled  Call = "killed"
	CallTest    Call = "test"
)
