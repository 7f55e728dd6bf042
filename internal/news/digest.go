package news

import "time"

// DigestState is where one reader's mail of one local date stands (DESIGN 3,
// reliability.md section 1).
type DigestState string

// The digest states. A mail is claimed before MAIL, data_started right before
// the final dot. Found after a crash, claimed is tried again, data_started is
// unknown and never sent again by itself.
const (
	DigestDue        DigestState = "due" // its edition was planned; nothing of it was said yet
	DigestClaimed    DigestState = "claimed"
	DigestStarted    DigestState = "data_started"
	DigestSent       DigestState = "sent"
	DigestDeferred   DigestState = "deferred" // 4xx or no connection: again at NextAt
	DigestBounced    DigestState = "bounced"  // 5xx
	DigestUnknown    DigestState = "unknown"
	DigestExpired    DigestState = "expired"    // its deadline passed
	DigestEmpty      DigestState = "empty"      // nothing to send
	DigestSuppressed DigestState = "suppressed" // the reader left, or her address was suppressed, before its turn
)

// DigestMail is one reader's mail of one local date: at most one row per
// (MailboxID, LocalDate), by a unique key.
type DigestMail struct {
	MailboxID string
	LocalDate string    // 2006-01-02 in the reader's zone
	EditionAt time.Time // the instant of the edition
	Edition   string    // EditionID
	Provider  string    // whose mailbox it is: email.ProviderOf
	State     DigestState
	// StoriesUntil is the newest StoredAt considered; the next edition takes
	// stories stored after it.
	StoriesUntil time.Time
	Stories      []string  // URIs it carried
	Repairs      []string  // Keys of the repairs it told of
	MadeAt       time.Time // what it tells is what was known then; zero: not made yet
	Attempts     int
	NextAt       time.Time // deferred: not before
	Reply        string    // the server's last answer, without addresses
	Reason       string    // of that answer: email.Reason…
	ComplainedAt time.Time // the reader called it spam
	MessageID    string
	Owner        string // the process that claimed it
	LeaseUntil   time.Time
	UpdatedAt    time.Time
}

// ZoneHour is a pair that some mailbox asked for.
type ZoneHour struct {
	Timezone string
	Hour     int
}

// DigestReader is a mailbox as the digest run sees it.
type DigestReader struct {
	Mailbox Mailbox
	// Place is where she stands among the readers: they are read in its order, in which
	// those of one preference follow each other. It changes with her preference.
	Place     string
	LastUntil time.Time // StoriesUntil of the last mail sent (or unknown, or empty); zero: none
	LastDate  string    // its local date
}

// DigestFigures is the answer of a digest run.
type DigestFigures struct{ Due, Sent, Deferred, Empty, Failed, Unknown int }

// Pushed is one story that was pushed to one of a subscriber's devices. First is
// when the oldest release of it that reached her was made.
type Pushed struct {
	StoryURI string
	AlertID  string
	Kind     ReleaseKind // of the newest release that reached her
	Title    string      // its text of last resort
	At       time.Time
	First    time.Time
}
