// Package bounce reads the mail that comes back: refusals that arrive as mails
// (DSN, RFC 3464, and the prose that many servers send instead), complaints
// that mailbox providers pass on (ARF, RFC 5965), readers who write to leave,
// and the machines that answer for people.
//
// It promises: what a mail says is data and changes nothing here; a mail that
// is not plainly a refusal or a complaint is never taken for one, above all no
// reply of a machine that happens to hold a code; reading takes bounded time
// and memory whatever is in the mail, and never fails; a mail is acknowledged
// only after the caller has taken it; nothing is ever sent or passed on, so no
// loop can form. A report, and what is logged, carry no address.
package bounce

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Kind is what a mail that came back is.
type Kind string

// The kinds.
const (
	// Failed: the mail was not delivered and will not be.
	Failed Kind = "failed"
	// Delayed: the server there still tries.
	Delayed Kind = "delayed"
	// Other: a report that asks for nothing (delivered, relayed, expanded, read,
	// "not spam", a failed signature).
	Other Kind = "other"
	// Complaint: a reader pressed "this is spam".
	Complaint Kind = "complaint"
	// AutoReply: a machine answered for somebody. Never answer it.
	AutoReply Kind = "auto-reply"
	// Leave: somebody writes that she wants no more mails. What proves who that
	// is, is the token in the envelope and not the mail.
	Leave Kind = "leave"
	// Strange: none of these; a person wrote, it may be. To an address that is
	// there to leave by, this too is a wish to leave: some programs send an empty
	// mail there.
	Strange Kind = "strange"
)

// Report is what a mail says. None of it is proven: whom it is about is for a
// token to say, the one in the envelope or else the first of Tokens that is
// genuine.
type Report struct {
	Kind Kind
	// Status is the enhanced code (RFC 3463), such as "5.1.1"; "" if there is none.
	Status string
	// Reason is one of email.Reason…, by the table that SMTP answers are judged
	// by; "" unless the mail failed or is delayed.
	Reason string
	// Detail is what the server said, in one short line.
	Detail string
	// ID stands for this very mail, so that it counts once however often it
	// comes: its Message-ID, or where it has none (Hashed) a hash of its bytes.
	// Senders choose it: it means something only beside the token.
	ID     string
	Hashed bool
	// Original is the Message-ID of the mail of ours that this is about, or "".
	Original string
	// FeedbackType is that of a complaint: abuse, fraud, opt-out…
	FeedbackType string
	// Tokens are what stands to the right of "+" in addresses of ours within the
	// mail that came back: candidates, for a complaint comes to the bare address.
	Tokens []string
}

// Read says what a mail is that came to the address base, or to one with a
// token (email.WithToken).
func Read(raw []byte, base string) Report {
	p := takeApart(raw)
	var r Report
	switch {
	case p.complains():
		r = p.complaint()
	case p.reportsDelivery():
		r = p.delivery()
	case p.disposition:
		r.Kind = Other
	case p.returned():
		r = p.prose()
	case p.answersForSomebody():
		r.Kind = AutoReply
	case p.asksToLeave():
		r.Kind = Leave
	case p.automatic():
		r.Kind = AutoReply
	default:
		r.Kind = Strange
	}
	r.ID, r.Hashed = idOf(p, raw)
	r.Original = p.originalID()
	r.Tokens = p.tokens(base)
	return r
}

// hashPrefix marks an ID that is a hash.
const hashPrefix = "sha256:"

func idOf(p *pieces, raw []byte) (id string, hashed bool) {
	if id := messageID(p.header.Get("Message-Id")); id != "" && !strings.HasPrefix(id, hashPrefix) {
		return id, false
	}
	sum := sha256.Sum256(raw)
	return hashPrefix + hex.EncodeToString(sum[:]), true
}

// maxID bounds the ids that are kept: longer ones are no use to anybody.
const maxID = 250

// messageID is the first id of a field (RFC 5322, 3.6.4) without its brackets,
// or "" where there is none that could be kept.
func messageID(field string) string {
	if _, after, ok := strings.Cut(field, "<"); ok {
		field, _, _ = strings.Cut(after, ">")
	}
	field = strings.TrimSpace(field)
	if len(field) > maxID || strings.ContainsFunc(field, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return field
}

// originalID is that of the copy that came along, else of the mail this one
// says it answers.
func (p *pieces) originalID() string {
	if id := messageID(p.original.Get("Message-Id")); id != "" {
		return id
	}
	if id := messageID(firstField(p.copied, "message-id")); id != "" {
		return id
	}
	return messageID(p.header.Get("In-Reply-To"))
}
