package digest

import (
	"context"
	"fmt"

	"dateline/internal/email"
	"dateline/internal/link"
	"dateline/internal/news"
)

// returnPath is where a mail's failure is reported to: an address that names the reader
// and the date, signed (VERP). leaveAddress is where she may write to leave.
func (s *Service) returnPath(mailboxID, date string) string {
	address, _ := email.WithToken(s.BounceAddress, s.Links.Mail(link.MailBounce, mailboxID, date))
	return address
}

// leaveAddress is "" where nobody takes such mail in: then it goes to the sender, where a
// person reads it.
func (s *Service) leaveAddress(mailboxID, date string) string {
	if !s.TakesBack {
		return ""
	}
	address, ok := email.WithToken(s.BounceAddress, s.Links.Mail(link.MailUnsubscribe, mailboxID, date))
	if !ok {
		return ""
	}
	return address
}

// OurToken reports whether mail may come back to an address with this token.
func (s *Service) OurToken(token string) bool {
	_, _, _, err := s.Links.VerifyMail(token)
	return err == nil
}

// TakeBack takes in what came back, once, however often it comes; nil means that it is
// written down, or that it says nothing we could believe. A failure is believed of the
// mail alone whose return path it came to; a complaint, which providers send to one
// address for all readers, of the mail that it holds.
func (s *Service) TakeBack(ctx context.Context, d news.ReturnedMail) error {
	kind, mailboxID, date, ok := s.addressee(d)
	if !ok {
		s.log.InfoContext(ctx, "mail came back of which nobody can tell whose it was", "kind", string(d.Kind))
		return nil
	}
	r := news.MailReport{
		// Its sender chose the id: it means something only beside the reader.
		MessageID: mailboxID + " " + d.ID, Kind: reportKind(kind, d.Kind), MailboxID: mailboxID, LocalDate: date,
		Status: d.Status, Reason: d.Reason, Detail: d.Detail,
	}
	edition, fresh, err := s.Store.TakeReport(ctx, r)
	if err != nil {
		return fmt.Errorf("digest: take back: %w", err)
	}
	if !fresh {
		return nil
	}
	s.log.InfoContext(ctx, "mail came back", "kind", string(r.Kind), "mailbox", mailboxID, "status", r.Status, "reason", r.Reason)
	if edition != "" && (r.Kind == news.ReportFailed || r.Kind == news.ReportComplaint) {
		s.judges.look(edition)
	}
	return nil
}

// addressee is whose mail came back.
func (s *Service) addressee(d news.ReturnedMail) (kind link.MailKind, mailboxID, date string, ok bool) {
	if d.Token != "" {
		kind, mailboxID, date, err := s.Links.VerifyMail(d.Token)
		return kind, mailboxID, date, err == nil
	}
	if d.Kind != news.ReturnedComplaint {
		return "", "", "", false
	}
	for _, token := range d.Tokens {
		if kind, mailboxID, date, err := s.Links.VerifyMail(token); err == nil {
			return kind, mailboxID, date, true
		}
	}
	return "", "", "", false
}

// reportKind is what a mail means at the address that it came to. To the one for leaving
// a person's mail is a wish to leave, whatever it says; a machine's is none.
func reportKind(at link.MailKind, kind news.ReturnedKind) news.MailReportKind {
	switch {
	case kind == news.ReturnedComplaint:
		return news.ReportComplaint
	case at == link.MailUnsubscribe && (kind == news.ReturnedLeave || kind == news.ReturnedStrange):
		return news.ReportLeave
	case at == link.MailBounce && kind == news.ReturnedFailed:
		return news.ReportFailed
	case at == link.MailBounce && kind == news.ReturnedDelayed:
		return news.ReportDelayed
	}
	return news.ReportOther
}
