package digest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dateline/internal/email"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/region"
)

const (
	signupBatch = 50
	signupLease = 5 * time.Minute
	signupPause = 5 * time.Minute // between two attempts
	// signupKept is how long a sign-up outlives its link, so that who presses an
	// old one reads that it has expired, or that she confirmed it long ago.
	signupKept = 7 * 24 * time.Hour
)

// confirmations sends the mails of double opt-ins as they are queued. They go
// at least once: a repeat carries the same link and Message-ID. Once an hour,
// sign-ups whose link expired long ago are forgotten.
func (s *Service) confirmations(ctx context.Context) error {
	ticker := time.NewTicker(s.Poll)
	defer ticker.Stop()
	var swept time.Time
	for {
		if now := s.now(); now.Sub(swept) >= time.Hour {
			swept = now
			if n, err := s.Store.ForgetSignups(ctx, now.Add(-signupKept)); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "old sign-ups not forgotten", "error", err)
			} else if n > 0 {
				s.log.InfoContext(ctx, "old sign-ups forgotten", "signups", n)
			}
		}
		if err := s.confirmQueued(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "confirmation mails", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) confirmQueued(ctx context.Context) error {
	for {
		signups, err := s.Store.ClaimSignupMails(ctx, s.Owner, signupBatch, signupLease)
		if err != nil {
			return fmt.Errorf("digest: claim confirmation mails: %w", err)
		}
		for _, signup := range signups {
			if err := s.sendConfirmation(ctx, signup); err != nil {
				return err
			}
		}
		if len(signups) < signupBatch {
			return nil
		}
	}
}

func (s *Service) sendConfirmation(ctx context.Context, signup news.DigestSignup) error {
	raw, err := s.confirmationMail(signup)
	if err != nil {
		s.log.ErrorContext(ctx, "confirmation mail not composed", "signup", signup.ID, "error", err)
		return s.markSignup(ctx, signup.ID, true)
	}
	receipt := s.Mailer.Send(ctx, s.Mailer.Address(), signup.Address, raw, nil)
	s.log.DebugContext(ctx, "confirmation mail", "signup", signup.ID, "outcome", receipt.Outcome.String(), "reason", receipt.Reason)
	ours := receipt.Reason == email.ReasonPolicy || receipt.Reason == email.ReasonProtocol
	done := receipt.Outcome == news.Accepted || receipt.Outcome == news.Refused && !ours
	return s.markSignup(ctx, signup.ID, done)
}

func (s *Service) markSignup(ctx context.Context, id string, done bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markPatience)
	defer cancel()
	if err := s.Store.MarkSignupMail(ctx, id, done, s.now().Add(signupPause)); err != nil {
		return fmt.Errorf("digest: mark confirmation mail %s: %w", id, err)
	}
	return nil
}

func (s *Service) confirmationMail(signup news.DigestSignup) ([]byte, error) {
	var path string
	switch signup.Kind {
	case news.SignupMoved: // nothing to open with a right of its own: who wants the digest back signs up
		path = "/subscribe"
	case news.SignupLink:
		path = link.Path(link.FreshMailbox, s.Links.Sign(link.FreshMailbox, signup.MailboxID, signup.ExpiresAt))
	default:
		path = link.Path(link.Confirm, s.Links.Sign(link.Confirm, signup.ID, signup.ExpiresAt))
	}
	p := signup.Wishes.Preference
	places := region.Words(strings.Join(append([]string{strings.Join(p.Regions, " + ")}, p.Muted...), " - "), signup.Wishes.Language)
	subject, text, html, err := s.confirm.Render(email.ConfirmationData{Signup: signup, Places: places,
		URL: s.BaseURL + path})
	if err != nil {
		return nil, err
	}
	return s.Mailer.Compose(email.Mail{To: signup.Address, Subject: subject, Text: text, HTML: html,
		MessageID: s.messageID("confirm", signup.ID, ""), Date: s.now()})
}
