package bounce

import "strings"

// complains: the mail is a feedback report, or the older thing that Outlook's
// programme for senders (JMRP) sends: the mail as it was, from a certain
// address, with a field added.
func (p *pieces) complains() bool {
	if p.feedback != "" || p.reportType == "feedback-report" {
		return true
	}
	return p.original.Has("X-HmXmrOriginalRecipient") ||
		p.original.Len() > 0 && strings.Contains(strings.ToLower(p.header.Get("From")), "staff@hotmail.com") &&
			strings.HasPrefix(strings.ToLower(p.subject()), "complaint about message from")
}

// complaint reads a feedback report (RFC 5965, 3.1). Of its types "not-spam" is
// the opposite of a complaint, and auth-failure (RFC 6591) is about a
// signature; every other says that a reader does not want this.
func (p *pieces) complaint() Report {
	kind := "abuse" // what JMRP and a report without its type mean
	for _, group := range fieldGroups(p.feedback) {
		if value := valueOf(group, "feedback-type"); value != "" {
			kind = strings.ToLower(value)
			break
		}
	}
	if len(kind) > 32 || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		kind = "other"
	}
	r := Report{Kind: Complaint, FeedbackType: kind}
	if kind == "not-spam" || strings.HasPrefix(kind, "auth-failure") || kind == "dmarc" {
		r.Kind = Other
	}
	return r
}
