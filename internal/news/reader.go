package news

import "time"

// Preference is the part of a reader's wishes that decides which stories
// match. It is interned: equal preferences share one id and are matched once,
// so its slices are canonical (sorted, unique) before it is stored.
type Preference struct {
	Regions   []string // followed: codes and group names; never empty
	Muted     []string // muted inside what is followed
	Sections  []string // empty: all
	Level     Level    // lowest level wanted
	Overrides []Override
}

// Override is another lowest level for some places ("all of Japan, only
// flashes from elsewhere").
type Override struct {
	Regions []string
	Level   Level
}

// Wishes is everything a reader asked for, apart from the address to send to.
type Wishes struct {
	Preference   Preference
	Language     string // BCP 47
	OnlyLanguage bool   // true: nothing in other languages
	Timezone     string // IANA name
	Quiet        *Quiet // nil: no quiet hours
	Cap          int    // alerts per local day that are not flashes; 0: no cap
	PausedUntil  time.Time
	MutedStories []string // story URIs
	OverStories  []string // story URIs: only repairs and the final alert of these
}

// Quiet are a reader's quiet hours in her own time zone, as minutes of the
// day; From > To spans midnight; From == To means none.
type Quiet struct {
	From, To int
	Flash    bool // true: a flash passes (the default)
}

// PushSubscription is what a browser hands over (W3C Push API).
type PushSubscription struct {
	Endpoint string
	P256dh   []byte // 65 bytes, uncompressed P-256 point
	Auth     []byte // 16 bytes
}

// DeviceState says whether a device may be sent to.
type DeviceState string

// Device states. A device that is not active keeps its number for ever.
const (
	DeviceActive      DeviceState = "active"
	DeviceGone        DeviceState = "gone"        // 404/410: tombstone, restorable for 30 days
	DeviceLeft        DeviceState = "left"        // the reader left; not restorable
	DeviceQuarantined DeviceState = "quarantined" // taken out by the breaker until the desk decides
)

// Cells is the number of fixed slices of all devices.
const Cells = 256

// Device is one Web Push subscription with its place: Cell (0..255) and
// Number (given once within the cell, growing, never reused).
type Device struct {
	ID           string
	Cell         int
	Number       uint32
	SubscriberID string
	Push         PushSubscription
	State        DeviceState
	Change       int64  // the cell's change counter at the device's last change
	PreferenceID string // of Wishes.Preference: equal preferences have equal ids
	Wishes       Wishes
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// MailboxState says whether a mailbox may be sent to.
type MailboxState string

// Mailbox states.
const (
	MailboxActive    MailboxState = "active"
	MailboxLeft      MailboxState = "left"
	MailboxBounced   MailboxState = "bounced"
	MailboxSuspended MailboxState = "suspended"
)

// Mailbox is a confirmed digest subscription. Its own wishes decide what it
// gets; SubscriberID, when set, is the device owner it was joined to, whose
// pushed stories the digest leaves out.
type Mailbox struct {
	ID           string
	Address      string // lower case
	SubscriberID string // "" : not joined
	State        MailboxState
	Wishes       Wishes // Quiet and Cap are unused
	Hour         int    // 0..23, local
	Days         []int  // ISO weekdays 1 (Monday) .. 7
	Weekly       bool   // Saturdays only, 8 days of stories
	Consent      Consent
	CreatedAt    time.Time
}

// Consent is the record of a double opt-in.
type Consent struct {
	TextVersion string // which consent text was shown
	Source      string // the form or import it came from
	RequestedAt time.Time
	ConfirmedAt time.Time
	ClientHash  string // HMAC of the client address, never the address
}

// SignupKind tells what a mail with a link is for.
type SignupKind string

// The kinds.
const (
	SignupDigest SignupKind = "signup" // shall a digest go to this address?
	SignupLink   SignupKind = "link"   // takes the owner of a mailbox a fresh link
	SignupMove   SignupKind = "move"   // shall the mailbox's digest go to this address?
	SignupMoved  SignupKind = "moved"  // tells this address that its digest goes elsewhere now; its mail has no link of its own
)

// DigestSignup is a digest sign-up that waits for its confirmation, or another
// request that is answered by a mail.
type DigestSignup struct {
	ID           string
	Kind         SignupKind // "": SignupDigest
	MailboxID    string     // of a link or a move; of a sign-up the one it became
	Address      string
	Wishes       Wishes
	Hour         int
	Days         []int
	Weekly       bool
	SubscriberID string // the device owner to join once confirmed; "" none
	DeviceLabel  string // what the confirm page calls that device
	Consent      Consent
	CreatedAt    time.Time
	ExpiresAt    time.Time
	UsedAt       time.Time
}

// NewDevice is a subscription to be stored.
type NewDevice struct {
	Push   PushSubscription
	Wishes Wishes
}

// DeviceRecord is everything that is kept of a device.
type DeviceRecord struct {
	Device   Device
	Sent     []Release // newest first
	Receipts []StoredReceipt
}

// MailboxRecord is everything that is kept of a mailbox.
type MailboxRecord struct {
	Mailbox Mailbox
	Signups []DigestSignup
	Mails   []DigestMail // newest first
	Devices []DeviceRecord
}
