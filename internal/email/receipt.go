package email

import (
	"strings"
	"time"
	"unicode"

	"dateline/internal/news"
)

// Step is where in an SMTP conversation an answer came, or was awaited.
type Step string

// The steps, in order. StepDot is the final dot: everything before it can be
// undone by hanging up.
const (
	StepConnect Step = "connect" // TCP, TLS from the start, greeting, EHLO
	StepTLS     Step = "starttls"
	StepAuth    Step = "auth"
	StepMail    Step = "mail"
	StepRcpt    Step = "rcpt"
	StepData    Step = "data"
	StepDot     Step = "dot"
)

// Reasons of a receipt: short words for figures and the desk.
const (
	ReasonAccepted   = "accepted"
	ReasonThrottled  = "throttled"     // 421: slow down; nobody's fault
	ReasonDeferred   = "deferred"      // another 4xx: greylisting, a full disk there
	ReasonConnection = "connection"    // no connection, or lost before the dot
	ReasonTLS        = "tls"           // no encryption to be had
	ReasonAuth       = "auth"          // our user or password
	ReasonHardBounce = news.HardBounce // there is no such mailbox: suppress it
	ReasonSoftBounce = news.SoftBounce // full, or a fault there: suppress after three editions
	ReasonPolicy     = "policy"        // our authentication or standing: suppress nobody
	ReasonContent    = "content"       // this mail's content
	ReasonProtocol   = "protocol"      // we spoke wrongly
	ReasonNoAnswer   = "no-answer"     // the answer to the dot was lost
	ReasonAborted    = "aborted"       // the caller said no, or went away, before the dot
	ReasonAddress    = "address"       // not an address we send to
	ReasonMalformed  = "malformed"     // not bytes we send
)

// throttle is the wait after a 421 (reliability.md 3b: 15 to 60 minutes).
const throttle = 15 * time.Minute

// ReceiptFor judges an SMTP answer by the table of reliability.md 3b. A code
// of 0 is no answer at all.
func ReceiptFor(step Step, code int, text string) news.Receipt {
	enhanced := enhancedCode(text)
	r := news.Receipt{Outcome: news.Retry, Status: code, Detail: CleanReply(text)}
	switch {
	case code == 0 && step == StepDot:
		r.Outcome, r.Reason = news.Ambiguous, ReasonNoAnswer
	case code >= 200 && code < 300 && step == StepDot:
		r.Outcome, r.Reason = news.Accepted, ReasonAccepted
	case code == 421:
		r.Reason, r.After, r.SlowOrigin = ReasonThrottled, throttle, true
	case step == StepTLS:
		r.Reason, r.After, r.SlowOrigin = ReasonTLS, throttle, true
	case step == StepAuth:
		// Our password is wrong, whatever the class of the code: nobody bounces.
		r.Reason, r.After, r.SlowOrigin = ReasonAuth, throttle, true
	case code == 0:
		r.Reason, r.SlowOrigin = ReasonConnection, step == StepConnect
	case step == StepConnect && code >= 500:
		// The server will not talk to us at all: no mail was offered, none refused.
		r.Reason, r.After, r.SlowOrigin = ReasonPolicy, throttle, true
	case code >= 400 && code < 500:
		r.Reason = ReasonDeferred
	case code >= 500:
		r.Outcome = news.Refused
		r.Reason = refusal(step, code, enhanced)
		r.SlowOrigin = r.Reason == ReasonPolicy || r.Reason == ReasonProtocol
	default: // an answer that makes no sense here (354 to MAIL…)
		r.Reason, r.SlowOrigin = ReasonProtocol, true
	}
	return r
}

// refusal tells the 5xx apart. Without an enhanced code nobody is suppressed:
// a plain 550 may mean anything.
func refusal(step Step, code int, enhanced string) string {
	subject := ""
	if len(enhanced) > 3 {
		subject = enhanced[:4] // "5.7."
	}
	switch {
	case isHard(enhanced):
		return ReasonHardBounce
	case subject == "5.7.":
		return ReasonPolicy
	case subject == "5.5.":
		return ReasonProtocol
	case subject == "5.6." || step == StepDot && code == 554:
		return ReasonContent
	case step == StepMail && subject != "5.2." && subject != "5.3." && subject != "5.4.":
		return ReasonPolicy // the sender was refused before any reader was named
	case step == StepData:
		return ReasonProtocol
	}
	return ReasonSoftBounce
}

// ReasonOf is the reason of a refusal by its enhanced code (RFC 3463) alone, ""
// where there was none: for refusals that come as mails and not as answers.
func ReasonOf(enhanced string) string { return refusal(StepRcpt, 550, enhanced) }

func isHard(enhanced string) bool {
	switch enhanced {
	case "5.1.1", "5.1.2", "5.1.3", "5.1.10", "5.2.1":
		return true
	}
	return false
}

// enhancedCode is the RFC 3463 code an answer begins with, or "".
func enhancedCode(text string) string {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(word) > 9 {
		return ""
	}
	for _, part := range parts {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return ""
		}
	}
	return word
}

// maxReply bounds what is kept of an answer.
const maxReply = 200

// CleanReply is a server's answer in one short line without addresses, control
// characters and what turns the direction of text: it goes into a row and onto
// the desk.
func CleanReply(text string) string {
	if len(text) > 8*maxReply {
		text = text[:8*maxReply]
	}
	words := strings.FieldsFunc(text, func(r rune) bool {
		return r <= ' ' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	})
	for i, word := range words {
		if strings.ContainsAny(word, "@＠") || strings.Contains(word, "%40") {
			words[i] = "(address)"
		}
	}
	line := strings.ToValidUTF8(strings.Join(words, " "), "?")
	if len(line) > maxReply {
		line = strings.ToValidUTF8(line[:maxReply], "") + "…"
	}
	return line
}
