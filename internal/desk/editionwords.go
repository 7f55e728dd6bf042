package desk

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// providerName is what a mailbox provider is called; "" stands for all of them.
func providerName(key string) string {
	switch key {
	case "":
		return "everybody"
	case "gmail":
		return "Gmail"
	case "yahoojp":
		return "Yahoo! Japan"
	case "yahoo":
		return "Yahoo"
	case "outlook":
		return "Outlook"
	case "qq":
		return "QQ Mail"
	case "163":
		return "NetEase"
	case "naver":
		return "Naver"
	case "rest":
		return "other providers"
	}
	return key
}

// reasonWords says what a mail server's refusal or silence means, and what is to
// be done. The reasons are those of package email (reliability.md 3b), which the
// desk does not know otherwise.
func reasonWords(reason string) string {
	switch reason {
	case "throttled":
		return "The provider asked us to slow down. It goes on by itself, more slowly; nobody is at fault."
	case "deferred":
		return "The server there put it off (greylisting, a full disk). It is tried again by itself."
	case "connection":
		return "No connection, or it was lost before the mail was handed over. It is tried again by itself."
	case "tls":
		return "The server offered no encryption that holds. It is tried again; nothing goes out unencrypted."
	case "auth":
		return "Our mail server refuses our user or password. Whoever runs this mends SMTP_URL; no reader is at fault."
	case news.HardBounce:
		return "There is no such mailbox. It is not written to again."
	case news.SoftBounce:
		return "The mailbox is full, or has a fault that passes. After three editions in a row, over a week, it is suspended."
	case "policy":
		return "Our authentication or standing: the provider does not believe that we are who we say, or has had enough of us. Mend SPF, DKIM and DMARC, or ask it; nobody was suppressed."
	case "content":
		return "What is in the mail was taken for spam. Look at the note and the stories; nobody was suppressed."
	case "protocol":
		return "The server did not understand what we said. Whoever runs this looks at the log; nobody was suppressed."
	case "no-answer":
		return "The server's answer to the last byte was lost. The mail may have been delivered, or not."
	case "aborted":
		return "It was stopped before it was handed over. It is tried again by itself."
	case "address":
		return "The address is not one that can be written to."
	case "malformed":
		return "The mail could not be put into a form that servers take. This is our fault; the log has it."
	case "":
		return "No reason was kept."
	}
	return "The mail server's reason has no words here yet."
}

// pauseView is a pause as it is read.
type pauseView struct {
	Edition, Where  string // its id, and which edition that is
	Provider, To    string // the key, and its name
	Words           string
	At, By          string
	Resumed         string // when; "" while it holds
	ResumedBy       string
	Open, ByProgram bool
	ResumeID        string // of its button, for the focus to come back to
}

func pauseOf(p *news.EditionPause) pauseView {
	v := pauseView{Edition: p.Edition, Where: p.Edition, Provider: p.Provider, To: providerName(p.Provider), Words: pauseReason(p), At: clockTime(p.At), By: p.By,
		ResumedBy: p.ResumedBy, Open: p.Open(), ByProgram: p.By == news.SystemName, ResumeID: strings.ReplaceAll("resume-"+p.Edition+"-"+p.Provider+"-"+string(p.Reason), " ", "-")}
	if e, err := news.ParseEditionID(p.Edition); err == nil {
		v.Where = editionName(&e) + ", " + dayWords(e.LocalDate)
	}
	if !p.ResumedAt.IsZero() {
		v.Resumed = clockTime(p.ResumedAt)
	}
	return v
}

// pauseReason is why it was paused: the figures where the program counted them,
// or what the editor wrote.
func pauseReason(p *news.EditionPause) string {
	var words string
	switch p.Reason {
	case news.PauseComplaints:
		words = "readers there call it spam"
	case news.PauseBounces:
		words = "many of these mailboxes do not exist"
	case news.PauseContent:
		words = "what is in it was refused as spam"
	case news.PauseEditor:
		words = "by hand, without a reason given"
	}
	return cmp.Or(p.Detail, words, string(p.Reason))
}

// editionName is an edition as one speaks of it: Tokyo 07:00, weekly.
func editionName(e *news.Edition) string {
	name := region.ZoneCity(e.Timezone, "en") + " " + hourWords(e.Hour)
	if e.Weekly {
		name += ", weekly"
	}
	return name
}

func hourWords(hour int) string { return time.Date(0, 1, 1, hour, 0, 0, 0, time.UTC).Format("15:04") }

// dayWords is a local date with its weekday: Tue 1 Dec 2026.
func dayWords(date string) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return day.Format("Mon 2 Jan 2006")
}

// grouped writes a number with its thousands apart: 1,204.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// receiptWords says what became of a test mail.
func receiptWords(r news.Receipt) string {
	switch r.Outcome {
	case news.Accepted:
		return "The mail server took it. Look into the mailbox, and into its spam folder."
	case news.Retry:
		return "It was not taken, and is not tried again by itself. " + reasonWords(r.Reason)
	case news.Ambiguous:
		return "It may have gone: the server's answer was lost. Look into the mailbox before you send another."
	case news.Gone, news.Refused:
		return "It was refused. " + reasonWords(r.Reason)
	}
	return "Nothing was sent."
}

// choiceWords says why a story is, or is not, in a digest. The reasons are those
// of digest.Reason.
func choiceWords(c *news.DigestChoice) string {
	switch {
	case c.Dropped:
		return "Left out by the plan."
	case c.Lead && c.Pinned:
		return "Opens the mail: pinned."
	case c.Lead:
		return "Opens the mail: it has the most points."
	case c.Pinned && c.Reason == "chosen":
		return "Pinned."
	case c.Pinned:
		return "Pinned, and still not for this reader: " + choiceReason(c.Reason)
	}
	return capital(choiceReason(c.Reason))
}

func choiceReason(reason string) string {
	switch reason {
	case "chosen":
		return "among the stories with the most points."
	case "not-usable":
		return "withheld or canceled by its newest version."
	case "embargoed":
		return "its embargo has not ended."
	case "seen":
		return "it was there before the reader's last edition was made."
	case "too-old":
		return "older than what an edition takes: 36 hours, weekly 8 days."
	case "not-followed":
		return "no place of it is followed, or all are muted."
	case "section":
		return "of none of the reader's sections."
	case "language":
		return "not in the only language that the reader wants."
	case "muted-story":
		return "the reader muted this story."
	case "pushed":
		return "it reached a device of the reader's as an alert."
	case "carried":
		return "an earlier mail carried it."
	case "no-room":
		return "no room: twelve others come first."
	case "dropped":
		return "left out by the plan."
	case "told", "same-event":
		return "another story in the mail tells of the same event."
	}
	return reason + "."
}
