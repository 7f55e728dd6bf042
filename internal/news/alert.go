package news

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Text is what a notification says in one language.
type Text struct{ Title, Body string }

// AlertState is where an alert stands.
type AlertState string

// draft -> submitted -> approved -> holding (countdown) -> sending -> sent;
// on the way or afterwards: held, cancelled, killed.
const (
	AlertDraft     AlertState = "draft"
	AlertSubmitted AlertState = "submitted"
	AlertApproved  AlertState = "approved"
	AlertHolding   AlertState = "holding"
	AlertSending   AlertState = "sending"
	AlertSent      AlertState = "sent"
	AlertHeld      AlertState = "held"
	AlertCancelled AlertState = "cancelled"
	AlertKilled    AlertState = "killed"
)

// Unfinished reports whether an alert in this state may still start a send.
func (s AlertState) Unfinished() bool {
	return s != AlertSent && s != AlertCancelled && s != AlertKilled
}

// Alert is a notification for readers, bound to a story: what the desk works
// on. Each thing actually sent about it is a Release.
type Alert struct {
	ID           string
	StoryURI     string
	StoryVersion int64 // the version it was drafted from
	State        AlertState
	HeldFrom     AlertState // when held: the state resume goes back to
	Level        Level
	Texts        map[string]Text // by language; at least one
	Language     string          // the story's own language: the text of last resort
	Audience     string          // region expression; never empty
	Sections     []string        // empty: all
	Final        bool            // the last of a running story: for those who asked for no more than that, too
	Deadline     time.Time       // zero: the level's default, counted from release
	Revision     int             // the newest revision released of this alert; 0 before
	Author       string          // who wrote the text last; "system" for drafts made by the intake
	Submitter    string
	Approver     string
	Releaser     string
	ApprovedHash string
	Reason       string // of a kill, a hold or a cancel
	// Who held, cancelled or killed it last, and when; empty while nothing stops
	// it. The store fills an empty StoppedAt.
	StoppedBy  string
	StoppedAt  time.Time
	HoldUntil  time.Time // while holding: when it becomes sending
	CreatedAt  time.Time
	ReleasedAt time.Time // when the countdown began (or the send, without one); zero before
}

// Hash names the content an approval is bound to: texts, languages, audience,
// sections, level and whether it is the story's last (DESIGN 9). Hex SHA-256.
func (a *Alert) Hash() string {
	type pair struct{ Language, Title, Body string }
	content := struct {
		Story    string
		Level    string
		Audience string
		Sections []string
		Texts    []pair
		Final    bool `json:",omitempty"` // left out: alerts that were approved before there was a last one keep their hash
	}{Story: a.StoryURI, Level: a.Level.String(), Audience: a.Audience, Sections: slices.Sorted(slices.Values(a.Sections)), Final: a.Final}
	languages := make([]string, 0, len(a.Texts))
	for l := range a.Texts {
		languages = append(languages, l)
	}
	slices.Sort(languages)
	for _, l := range languages {
		content.Texts = append(content.Texts, pair{l, a.Texts[l].Title, a.Texts[l].Body})
	}
	raw, err := json.Marshal(content)
	if err != nil { // strings and slices of strings only: cannot happen
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// DefaultDeadline is how long an alert of a level may be sent after release
// (DESIGN 7).
func DefaultDeadline(l Level) time.Duration {
	if l == LevelNotice {
		return 4 * time.Hour
	}
	return time.Hour
}

// ReleaseKind tells a first alert from its repairs.
type ReleaseKind string

// The kinds of release.
const (
	ReleaseAlert      ReleaseKind = "alert"
	ReleaseCorrection ReleaseKind = "correction"
	ReleaseKill       ReleaseKind = "kill"
)

// ReleaseState is where one release stands.
type ReleaseState string

// A release is sending until every cell is settled (sent); held freezes it;
// stopped is for good (its pending devices are cancelled).
const (
	ReleaseSending ReleaseState = "sending"
	ReleaseHeld    ReleaseState = "held"
	ReleaseStopped ReleaseState = "stopped"
	ReleaseSent    ReleaseState = "sent"
)

// Release is one frozen send: an alert's first, or a repair of it. It is a
// snapshot: nothing the desk edits later changes it.
type Release struct {
	ID         string
	AlertID    string
	StoryURI   string
	Revision   int // per story URI, growing over alerts, corrections and kills
	Kind       ReleaseKind
	State      ReleaseState
	Level      Level
	Texts      map[string]Text
	Language   string // text of last resort
	Audience   string
	Sections   []string
	Final      bool     // Alert.Final
	Regions    []string // the story's, for the payload
	Navigate   string   // absolute https URL a press opens
	Image      string   // absolute https URL or ""
	Deadline   time.Time
	ReleasedAt time.Time
	Raised     bool // true: a higher level of a story already alerted (renotify)
	// Supersedes, on a correction: what it corrects was still going out, so
	// whoever was waiting for the older revision gets this one instead.
	Supersedes bool
	Changes    [Cells]int64 // the change counter of every cell at the release
	Phase      Phase        // of a first alert; repairs are PhaseAll
}

// Repair reports whether the release repairs something already sent.
func (r *Release) Repair() bool { return r.Kind != ReleaseAlert }

// Policy says who must agree before an alert of a level goes out.
type Policy string

// The policies.
const (
	PolicyAuto Policy = "auto" // released by itself
	PolicyOne  Policy = "one"  // one editor must release
	PolicyTwo  Policy = "two"  // a second editor must approve
)

// Policies is the policy of every level.
type Policies map[Level]Policy

// DefaultPolicies is DESIGN 9's default: one editor; notices by themselves.
func DefaultPolicies() Policies {
	return Policies{LevelFlash: PolicyOne, LevelBulletin: PolicyOne, LevelNotice: PolicyAuto}
}

// Role is what an editor may do.
type Role string

// The roles.
const (
	RoleReporter Role = "reporter"
	RoleEditor   Role = "editor"
	RoleChief    Role = "chief"
)

// Scopes of API keys (DESIGN 9).
const (
	ScopeStoriesWrite  = "stories:write"
	ScopeAlertsRead    = "alerts:read"
	ScopeAlertsDraft   = "alerts:draft"
	ScopeAlertsApprove = "alerts:approve"
	ScopeAlertsRelease = "alerts:release"
	ScopeAlertsStop    = "alerts:stop"
	ScopeDigestsRun    = "digests:run"
)

// Scopes lists every scope.
func Scopes() []string {
	return []string{ScopeStoriesWrite, ScopeAlertsRead, ScopeAlertsDraft, ScopeAlertsApprove,
		ScopeAlertsRelease, ScopeAlertsStop, ScopeDigestsRun}
}

// SystemName is who the admin key and the program itself act as. The system
// counts as nobody under policy two.
const SystemName = "system"

// Person is who is asking: the system, or an editor through an API key or a
// session.
type Person struct {
	Name   string
	Role   Role
	System bool
	Scopes []string
	// SignedIn: through the desk's pages, with two factors. A key is one.
	SignedIn bool
	// Through is what the audit trail adds where the name does not tell who it
	// was: whose shell the system's command was typed in.
	Through string
}

// May reports whether the person holds the scope.
func (p Person) May(scope string) bool { return p.System || slices.Contains(p.Scopes, scope) }
