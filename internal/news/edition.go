package news

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Edition is one digest run: a local date and hour in a time zone.
type Edition struct {
	ID        string // EditionID of the rest
	LocalDate string // 2006-01-02
	Timezone  string
	Hour      int
	Weekly    bool
	At        time.Time // the instant of the date and hour in the zone
}

// EditionLife is how long an edition's mails may still be sent (reliability.md 3b).
const EditionLife = 18 * time.Hour

// EditionID names an edition: the same date, zone, hour and kind are one edition
// wherever it is planned, "2026-12-01 07 Asia/Tokyo" or "… weekly".
func EditionID(localDate, timezone string, hour int, weekly bool) string {
	id := fmt.Sprintf("%s %02d %s", localDate, hour, timezone)
	if weekly {
		id += " weekly"
	}
	return id
}

// ParseEditionID takes an EditionID apart; At stays zero.
func ParseEditionID(id string) (Edition, error) {
	words := strings.Fields(id)
	e := Edition{ID: id}
	if len(words) == 4 && words[3] == "weekly" {
		e.Weekly = true
		words = words[:3]
	}
	if len(words) != 3 {
		return e, Invalid("edition", "must look like %q", "2026-12-01 07 Asia/Tokyo")
	}
	hour, err := strconv.Atoi(words[1])
	if _, day := time.Parse(time.DateOnly, words[0]); day != nil || err != nil || hour < 0 || hour > 23 {
		return e, Invalid("edition", "must look like %q", "2026-12-01 07 Asia/Tokyo")
	}
	e.LocalDate, e.Hour, e.Timezone = words[0], hour, words[2]
	if EditionID(e.LocalDate, e.Timezone, e.Hour, e.Weekly) != id {
		return e, Invalid("edition", "must look like %q", "2026-12-01 07 Asia/Tokyo")
	}
	return e, nil
}

// EditionFigures says what became of an edition's mails, or of a part of them.
// Due is all of them, and the sum of the others down to Empty. Suppressed were
// due to readers who left, or whose address was suppressed, before their turn.
// Complaints and Left are readers who were sent it and then complained or left
// by it: they are counted under Sent too.
type EditionFigures struct {
	Due                                                                             int
	Waiting, UnderWay, Sent, Deferred, Bounced, Unknown, Expired, Suppressed, Empty int
	Hard                                                                            int // of Bounced: there is no such mailbox
	Complaints, Left                                                                int
}

// Add counts n mails of a state.
func (f *EditionFigures) Add(state DigestState, n int) {
	f.Due += n
	switch state {
	case DigestDue:
		f.Waiting += n
	case DigestClaimed, DigestStarted:
		f.UnderWay += n
	case DigestSent:
		f.Sent += n
	case DigestDeferred:
		f.Deferred += n
	case DigestBounced:
		f.Bounced += n
	case DigestUnknown:
		f.Unknown += n
	case DigestExpired:
		f.Expired += n
	case DigestSuppressed:
		f.Suppressed += n
	case DigestEmpty:
		f.Empty += n
	}
}

// Plus is the sum of two.
func (f EditionFigures) Plus(g EditionFigures) EditionFigures {
	return EditionFigures{Due: f.Due + g.Due, Waiting: f.Waiting + g.Waiting, UnderWay: f.UnderWay + g.UnderWay, Sent: f.Sent + g.Sent,
		Deferred: f.Deferred + g.Deferred, Bounced: f.Bounced + g.Bounced, Unknown: f.Unknown + g.Unknown, Expired: f.Expired + g.Expired,
		Suppressed: f.Suppressed + g.Suppressed, Empty: f.Empty + g.Empty, Hard: f.Hard + g.Hard, Complaints: f.Complaints + g.Complaints,
		Left: f.Left + g.Left}
}

// Conserved reports whether every due mail is in exactly one state.
func (f EditionFigures) Conserved() bool {
	return f.Due == f.Waiting+f.UnderWay+f.Sent+f.Deferred+f.Bounced+f.Unknown+f.Expired+f.Suppressed+f.Empty
}

// EditionAccount is an edition with what became of it, in all and by mailbox
// provider, why mails of it were put off or refused, and its pauses.
type EditionAccount struct {
	Edition
	EditionFigures
	Providers map[string]EditionFigures
	Reasons   map[string]int // of those deferred, bounced or unknown: email.Reason… to mails
	Pauses    []EditionPause // also those that were resumed, the newest first
	// What readers did with it, where the publisher has it counted.
	Opens, Clicks int
}

// Paused reports whether mails of it wait for an editor.
func (a *EditionAccount) Paused() bool {
	return slices.ContainsFunc(a.Pauses, EditionPause.Open)
}

// Count adds n mails of a provider that are in a state, for a reason; complaints and
// departed are how many of them were followed by either.
func (a *EditionAccount) Count(provider string, state DigestState, reason string, n, complaints, departed int) {
	var f EditionFigures
	f.Add(state, n)
	f.Complaints, f.Left = complaints, departed
	if state == DigestBounced && reason == HardBounce {
		f.Hard = n
	}
	a.EditionFigures = a.EditionFigures.Plus(f)
	a.Providers[provider] = a.Providers[provider].Plus(f)
	switch state {
	case DigestDeferred, DigestBounced, DigestUnknown:
		a.Reasons[reason] += n
	}
}

// Reasons of a bounce that decide what becomes of the mailbox.
const (
	HardBounce = "hard-bounce" // there is no such mailbox
	SoftBounce = "soft-bounce" // it is full, or a fault there
)

// PauseReason says why an edition was paused.
type PauseReason string

// The reasons. All but the last are found by the program, once for each edition
// and provider: an editor who resumes has the last word.
const (
	PauseComplaints PauseReason = "complaints" // 0.10 % of what a provider took
	PauseBounces    PauseReason = "bounces"    // 2 % of what a provider was sent to has no such mailbox
	PauseContent    PauseReason = "content"    // 3 in 100 were refused for what is in them
	PauseEditor     PauseReason = "editor"
)

// EditionPause keeps an edition's mails to a provider, or to all of them, back
// until an editor resumes it.
type EditionPause struct {
	Edition   string // EditionID
	Provider  string // "": all
	Reason    PauseReason
	Detail    string // the figures, in words
	At        time.Time
	By        string // "system", or the editor
	ResumedAt time.Time
	ResumedBy string
}

// Open reports whether it still holds.
func (p EditionPause) Open() bool { return p.ResumedAt.IsZero() }

// EditionPlan is what editors do to the digests of a date: a note that opens
// them, stories that come first, and stories that are left out. A pinned story
// comes to those only whom it would have come to anyway, if there were room.
type EditionPlan struct {
	LocalDate string
	Weekly    bool
	Notes     map[string]string // by language; a reader gets hers or a related one, else English, else none
	Pins      []string          // story URIs, the first opens the mail
	Drops     []string
	Version   int64 // grows with every change; 0: none was made
	ChangedBy string
	ChangedAt time.Time
}

// Limits of a plan.
const (
	MaxNote  = 600 // characters
	MaxPins  = 5
	MaxDrops = 50
)

// Repair is the newest correction or kill of a story that readers had.
type Repair struct {
	StoryURI string
	AlertID  string // "" : the story itself was withdrawn
	Kind     ReleaseKind
	At       time.Time
	Texts    map[string]Text
	Language string // of last resort
}

// Key names the repair: a reader is told of each once.
func (r *Repair) Key() string {
	return r.StoryURI + " " + string(r.Kind) + " " + r.At.UTC().Format(time.RFC3339Nano)
}

// TextIn picks the text for a reader's language and says which language it is in.
func (r *Repair) TextIn(wanted string) (Text, string) {
	var have []string
	for l := range r.Texts {
		have = append(have, l)
	}
	slices.Sort(have)
	l := PickLanguage(wanted, have, r.Language)
	return r.Texts[l], cmp.Or(l, r.Language)
}

// DepartureWay is how a reader's digest ended.
type DepartureWay string

// The ways.
const (
	LeftByLink   DepartureWay = "link"   // the button or the one-click header of a mail
	LeftByMail   DepartureWay = "mail"   // a mail to the header's other address
	LeftByReport DepartureWay = "report" // she called it spam
	LeftByPage   DepartureWay = "page"   // her own page
	LeftByBounce DepartureWay = "bounce" // her mailbox is not there any more
)

// Departure is who left, and because of which edition if that is known.
type Departure struct {
	MailboxID string
	LocalDate string // of the mail it came from; "" unknown
	Way       DepartureWay
	At        time.Time
}

// MailReport is what a mail server or provider said of a mail after it was sent.
type MailReport struct {
	MessageID string // of the report: it counts once
	Kind      MailReportKind
	MailboxID string
	LocalDate string
	Status    string // RFC 3463: "5.1.1"
	Reason    string // email.Reason…
	Detail    string // without addresses
	At        time.Time
}

// MailReportKind tells reports apart.
type MailReportKind string

// The kinds.
const (
	ReportFailed    MailReportKind = "failed"
	ReportDelayed   MailReportKind = "delayed"
	ReportComplaint MailReportKind = "complaint"
	ReportLeave     MailReportKind = "leave" // she wrote to the address of List-Unsubscribe
	ReportOther     MailReportKind = "other" // an auto-reply, or nothing we understand: counted
)

// ReturnedMail is a mail that came back: what bounce.Server takes.
type ReturnedMail struct {
	Token  string // of the address it came to; "" : the bare one
	Kind   ReturnedKind
	ID     string // the mail's own; its sender chose it
	Status string
	Reason string
	Detail string
	Tokens []string // candidates from the mail of ours that is in it
}

// ReturnedKind is what it is: bounce.Kind.
type ReturnedKind string

// The kinds.
const (
	ReturnedFailed    ReturnedKind = "failed"
	ReturnedDelayed   ReturnedKind = "delayed"
	ReturnedComplaint ReturnedKind = "complaint"
	ReturnedAutoReply ReturnedKind = "auto-reply"
	ReturnedLeave     ReturnedKind = "leave"
	ReturnedStrange   ReturnedKind = "strange"
	ReturnedOther     ReturnedKind = "other"
)

// DigestWish is an imagined reader for whom an edition is made, to be looked at.
type DigestWish struct {
	LocalDate string // of the edition; "" : today's in the wishes' time zone
	Weekly    bool
	Hour      int
	Wishes    Wishes
	// Plan is looked at instead of the one that is stored, when an editor has not
	// saved it yet; nil: the stored one.
	Plan *EditionPlan
}

// DigestPreview is the mail such a reader would get if it were made now. Its own
// links lead nowhere. Empty says that she would get none.
type DigestPreview struct {
	Empty              bool
	Subject, Preheader string
	HTML, Text         string
	Bytes              int // of the mail as it would be sent
	Minutes            int // to read it
	Stories            []DigestChoice
}

// DigestChoice is a story that was looked at for a digest, in reading order, then
// those left out, the newest first, with the reason.
type DigestChoice struct {
	URI, Headline, Section string
	Lead, Pinned, Dropped  bool
	Reason                 string // "chosen", "no-room", "pushed", …: digest.Reason
}
