package news

import "time"

// StoryPrior is what the store knew of a story when an event about it came in,
// read in the transaction that stores the event.
type StoryPrior struct {
	Latest *Story  // the highest version known; nil: none
	Alerts []Alert // every alert of this story, newest first
	// Room is what the newsroom's cap leaves of the level that a first decision
	// wanted to release at; nil while nothing was to be released.
	Room *Room
}

// StoryEffects is what follows from a stored story event (DESIGN 6), applied
// in the same transaction.
type StoryEffects struct {
	Draft   *Alert   // inserted
	Release *Release // with Draft: sent at once (policy auto, no embargo); Draft.State is then sending
	Changes []AlertChange
}

// AlertChange is an alert as it shall be, and what goes with it.
type AlertChange struct {
	Alert  Alert
	Action AlertAction
}

// DeadLetter is a story event that could not be used, with the reason.
type DeadLetter struct {
	ID         string
	ReceivedAt time.Time
	Source     string // "nats", "http"
	Subject    string
	Sequence   uint64 // in stream STORIES; 0: none
	Headers    map[string][]string
	Body       []byte
	Problems   []Problem
	ReplayedAt time.Time // zero: not yet
	ReplayNote string
	// Dismissed: somebody says, for a reason, that it needs nothing any more.
	DismissedBy, DismissedFor string
	DismissedAt               time.Time
}

// StoryConflictRecord is a second, different body for a (uri, version).
type StoryConflictRecord struct {
	ID         string
	URI        string
	Version    int64
	Known      string // hash of the stored one
	Received   Story
	ReceivedAt time.Time
}

// APIKey is an editor's key for the API. The key itself is shown once and
// never stored: Hash is its hex SHA-256.
type APIKey struct {
	ID        string
	Editor    string
	Scopes    []string
	Hash      string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// Editor is a person of the newsroom.
type Editor struct {
	Name      string
	Role      Role
	CreatedAt time.Time
}

// AuditEntry is one line of the audit trail. Seq and Hash are the store's.
type AuditEntry struct {
	Seq     int64
	At      time.Time
	By      string
	Action  string
	Subject string // "alert/ID", "apikey/ID", "policy"
	Detail  string
	Hash    string // over this line and the hash of the one before
}

// ChangedAlert says that something of an alert changed. Seq is the line of the
// audit trail that tells of it, so it grows in the order of commits.
type ChangedAlert struct {
	Seq      int64
	AlertID  string
	StoryURI string
}
