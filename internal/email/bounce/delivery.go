package bounce

import (
	"slices"
	"strings"

	"dateline/internal/email"
)

// recipient is a per-recipient group of a delivery status (RFC 3464, 2.3).
type recipient struct {
	kind   Kind
	status string
	reason string
	detail string
}

// reportsDelivery: there is a delivery status with something in it.
func (p *pieces) reportsDelivery() bool { return len(p.recipients()) > 0 }

func (p *pieces) recipients() []recipient {
	var out []recipient
	for _, group := range fieldGroups(p.status, "final-recipient", "action", "status") {
		if valueOf(group, "action") != "" || valueOf(group, "status") != "" {
			out = append(out, p.recipient(group))
		}
	}
	return out
}

func (p *pieces) recipient(group []field) recipient {
	_, diagnostic, typed := strings.Cut(valueOf(group, "diagnostic-code"), ";")
	if !typed {
		diagnostic = valueOf(group, "diagnostic-code")
	}
	own := bestCode(codes(valueOf(group, "status")))
	status := own
	if answer := bestCode(codes(diagnostic)); answer != "" && (vague(own) || !vague(answer) && answer[0] == own[0]) {
		status = answer // the words of the server that refused, and not what the one before it made of them
	}
	if vague(status) {
		if !vague(p.code) {
			status = p.code
		}
	}
	r := recipient{kind: kindOf(valueOf(group, "action"), status), status: status}
	r.detail = cleanDetail(first(strings.TrimSpace(diagnostic), p.line),
		append(p.about(), valueOf(group, "final-recipient"), valueOf(group, "original-recipient"))...)
	switch r.kind {
	case Failed:
		r.reason = failureOf(status)
	case Delayed:
		r.reason = email.ReasonDeferred
	}
	return r
}

// kindOf goes by the action; where that is missing or unheard of, by the class
// of the status.
func kindOf(action, status string) Kind {
	action = strings.ToLower(action)
	for word, kind := range map[string]Kind{"fail": Failed, "delay": Delayed, "deliver": Other, "relay": Other, "expand": Other} {
		if strings.HasPrefix(action, word) {
			return kind
		}
	}
	switch {
	case strings.HasPrefix(status, "5"):
		return Failed
	case strings.HasPrefix(status, "4"):
		return Delayed
	}
	return Other
}

// failureOf is the reason of a failure. A code of class 4 in one means that the
// server tried until its time was up: as bad as the code says, but no proof
// that there is no such mailbox.
func failureOf(status string) string {
	if !strings.HasPrefix(status, "4") {
		return email.ReasonOf(status)
	}
	if reason := email.ReasonOf("5" + status[1:]); reason != email.ReasonHardBounce {
		return reason
	}
	return email.ReasonSoftBounce
}

// mildness orders what a server can say of one recipient: a mail of ours has
// one, and where an alias made several of her, the mail came back only if it
// came back from all of them, and for no worse a reason than the mildest.
func (r recipient) mildness() int {
	if r.kind == Failed {
		return 3 + slices.Index([]string{email.ReasonPolicy, email.ReasonContent, email.ReasonProtocol, email.ReasonSoftBounce, email.ReasonHardBounce}, r.reason)
	}
	return slices.Index([]Kind{Other, Delayed}, r.kind)
}

// delivery is the report of a delivery status.
func (p *pieces) delivery() Report {
	mildest := slices.MinFunc(p.recipients(), func(a, b recipient) int { return a.mildness() - b.mildness() })
	return Report{Kind: mildest.kind, Status: mildest.status, Reason: mildest.reason, Detail: mildest.detail}
}
