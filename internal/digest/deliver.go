package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dateline/internal/email"
	"dateline/internal/link"
	"dateline/internal/news"
)

// job is one reader's edition to be sent.
type job struct {
	reader   news.DigestReader
	edition  Edition
	attempts int // before this one
	pushed   []news.Pushed
	provider string // email.Provider's name
}

// outcome is what became of a job.
type outcome uint8

const (
	skipped outcome = iota // somebody else's, finished already, or too late
	sent
	deferred
	empty
	failed
	unknown
)

// deliver carries one edition from the claim to its last state. An error is
// the store's: what is to be said of the mail has been said.
func (s *Service) deliver(ctx context.Context, shelves *shelves, j job) (outcome, error) {
	now := s.now()
	box := &j.reader.Mailbox
	mail := s.mailOf(j)
	if now.After(j.edition.Deadline()) {
		return skipped, s.expire(ctx, mail)
	}
	if now.Before(j.edition.At) { // asked for ahead: with nothing to say its date is not spent
		selection, err := s.choose(ctx, shelves, j)
		switch {
		case err != nil:
			return failed, err
		case selection.Empty():
			return empty, nil
		}
	}
	if _, shut := s.lanes.closed(j.edition.ID(), box.Address, now); shut {
		return deferred, nil // unclaimed: it keeps its turn
	}
	if wait, err := s.waits(ctx, j); wait || err != nil {
		return deferred, err
	}
	c, err := s.claim(ctx, mail)
	if c == nil || err != nil {
		return skipped, err
	}
	return s.send(ctx, shelves, c, j)
}

// mailOf is a job's row before anything was done.
func (s *Service) mailOf(j job) news.DigestMail {
	return news.DigestMail{MailboxID: j.reader.Mailbox.ID, LocalDate: j.edition.LocalDate, EditionAt: j.edition.At, Edition: j.edition.ID(),
		Provider: j.provider, State: news.DigestClaimed, MessageID: s.messageID("digest", j.reader.Mailbox.ID, j.edition.LocalDate)}
}

// expire ends an edition that is not to go any more.
func (s *Service) expire(ctx context.Context, mail news.DigestMail) error {
	mail.State, mail.NextAt, mail.UpdatedAt = news.DigestExpired, time.Time{}, s.now()
	_, err := s.Store.ClaimDigest(ctx, mail) // finishes it at once
	return err
}

// send fills, composes and sends a mail that is claimed.
func (s *Service) send(ctx context.Context, shelves *shelves, c *claim, j job) (outcome, error) {
	box := &j.reader.Mailbox
	selection, err := s.choose(ctx, shelves, j)
	if err != nil {
		return failed, errors.Join(err, s.postpone(ctx, c, j, news.Receipt{Reason: "store"}))
	}
	if selection.Empty() {
		return empty, c.finish(ctx, func(m *news.DigestMail) { m.State, m.StoriesUntil = news.DigestEmpty, selection.Until })
	}
	letter, err := s.compose(j, selection, s.messageID("digest", box.ID, j.edition.LocalDate))
	if err != nil {
		s.log.ErrorContext(ctx, "mail not composed", "mailbox", box.ID, "error", err)
		return failed, s.postpone(ctx, c, j, news.Receipt{Reason: "compose", After: time.Hour})
	}
	receipt := s.Mailer.SendLetter(ctx, s.returnPath(box.ID, j.edition.LocalDate), box.Address, letter, func() error {
		return c.mark(ctx, func(m *news.DigestMail) {
			m.State, m.StoriesUntil, m.Stories = news.DigestStarted, selection.Until, selection.URIs()
			m.Repairs, m.MadeAt = selection.RepairKeys(), selection.As
		})
	})
	s.learn(ctx, j, receipt)
	return s.settle(ctx, c, j, receipt)
}

// learn lets a receipt change how its lane goes on.
func (s *Service) learn(ctx context.Context, j job, r news.Receipt) {
	address := j.reader.Mailbox.Address
	if lane, shut := s.lanes.learn(j.edition.ID(), address, r, s.now()); shut {
		s.log.WarnContext(ctx, "mails wait", "server", lane == everybody, "provider", j.provider, "reason", r.Reason, "answer", r.Detail)
	}
	if r.Reason == email.ReasonThrottled {
		s.post.slow(j.provider)
	}
}

// choose fills the edition. Where something was repaired, or an
// updated story would come in, her earlier mails are asked what they carried.
func (s *Service) choose(ctx context.Context, shelves *shelves, j job) (Selection, error) {
	shelf, err := shelves.current(ctx)
	if err != nil {
		return Selection{}, err
	}
	q := Query{Edition: j.edition, Wishes: j.reader.Mailbox.Wishes, Since: j.reader.LastUntil, Pushed: j.pushed}
	selection := shelf.Choose(q)
	updated := func(story *news.Story) bool { return story.Version > 1 }
	if selection.Empty() || j.reader.LastUntil.IsZero() || !shelf.Repaired() && !slices.ContainsFunc(selection.Stories(), updated) {
		return selection, nil
	}
	since := shelf.now.Add(-weeklyWindow - EditionLife)
	mails, err := s.Store.DigestsSince(ctx, j.reader.Mailbox.ID, since.Format(dateFormat))
	if err != nil {
		return Selection{}, fmt.Errorf("digest: earlier mails of %s: %w", j.reader.Mailbox.ID, err)
	}
	q.Past = pastOf(mails)
	return shelf.Choose(q), nil
}

// pastOf is what mails told that went out, or may have.
func pastOf(mails []news.DigestMail) Past {
	past := Past{Carried: map[string]time.Time{}}
	for _, m := range mails {
		if m.State != news.DigestSent && m.State != news.DigestUnknown {
			continue
		}
		made := m.MadeAt
		if made.IsZero() {
			made = m.EditionAt
		}
		for _, uri := range m.Stories {
			if at, ok := past.Carried[uri]; !ok || made.Before(at) {
				past.Carried[uri] = made
			}
		}
		past.Told = append(past.Told, m.Repairs...)
	}
	return past
}

// compose makes a reader's mail of the plate that everybody with the same
// content shares.
func (s *Service) compose(j job, selection Selection, messageID string) (*email.Letter, error) {
	box := &j.reader.Mailbox
	plate, err := s.plate(j.edition, box.Wishes, selection)
	if err != nil {
		return nil, err
	}
	// The link counts from the edition, not from the attempt: a mail that is
	// tried again is the same mail.
	unsubscribe := s.BaseURL + link.Path(link.Unsubscribe, s.Links.Sign(link.Unsubscribe, box.ID, time.Time{})) + "?" + link.OfDate + "=" + j.edition.LocalDate
	return plate.Print(email.Copy{
		To: box.Address, MessageID: messageID, Date: s.now(), FeedbackID: feedbackID(j.edition, box.Wishes.Timezone, s.Mailer.Domain()),
		Help:        s.BaseURL + link.Path(link.ManageMailbox, s.Links.Sign(link.ManageMailbox, box.ID, j.edition.At.Add(link.ManageFor))),
		Unsubscribe: unsubscribe, Mailto: s.leaveAddress(box.ID, j.edition.LocalDate),
	})
}

// plate is the mail of a content, made when its first reader's turn comes.
func (s *Service) plate(e Edition, w news.Wishes, selection Selection) (*email.Plate, error) {
	return s.plates.get(s.renderer.key(e, w, selection), func() (*email.Plate, error) {
		rendered, err := s.renderer.Render(e, w, selection)
		if err != nil {
			return nil, err
		}
		return s.Mailer.Prepare(rendered.Pattern(s.Publisher.Name, s.Mailer.Domain(), s.Mailer.Address()))
	})
}

// messageID is the same at every attempt, and says nothing of who it is for.
func (s *Service) messageID(kind, id, date string) string {
	return strings.Trim(kind+"."+strings.ReplaceAll(date, "-", ""), ".") + "." + s.Links.Hash(kind+"-message-id", id+"|"+date) + "@" + s.Mailer.Domain()
}

// settle turns a receipt into the mail's state.
func (s *Service) settle(ctx context.Context, c *claim, j job, r news.Receipt) (outcome, error) {
	end := func(o outcome, state news.DigestState) (outcome, error) {
		return o, c.finish(ctx, func(m *news.DigestMail) {
			m.State, m.Reply, m.Reason, m.NextAt = state, reply(r), r.Reason, time.Time{}
		})
	}
	switch r.Outcome {
	case news.Accepted:
		return end(sent, news.DigestSent)
	case news.Ambiguous:
		return end(unknown, news.DigestUnknown)
	case news.Refused:
		if r.Reason != email.ReasonPolicy && r.Reason != email.ReasonProtocol {
			o, err := end(failed, news.DigestBounced)
			return o, errors.Join(err, s.suppress(ctx, j, r))
		}
		// Ours to mend: the same mail may go in an hour, and nobody is suppressed.
		r.After = time.Hour
	}
	return deferred, s.postpone(ctx, c, j, r)
}

// postpone lets a mail wait for its next attempt.
func (s *Service) postpone(ctx context.Context, c *claim, j job, r news.Receipt) error {
	next := s.now().Add(max(r.After, backoff(j.attempts+1)))
	err := c.finish(ctx, func(m *news.DigestMail) {
		m.State, m.NextAt, m.Reply, m.Reason = news.DigestDeferred, next, reply(r), r.Reason
	})
	if errors.Is(err, news.ErrFenced) { // somebody else has it: theirs to settle
		return nil
	}
	return err
}

// backoff is the wait after so many attempts (reliability.md 3b).
func backoff(attempts int) time.Duration {
	steps := []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	return steps[min(max(attempts, 1), len(steps))-1]
}

func reply(r news.Receipt) string {
	return strings.TrimSpace(r.Reason + " " + r.Detail)
}

// suppress does what follows from a refusal: a mailbox that does not exist is never
// written to again, one that is full for a week of editions is not for now, and an
// edition that is refused too often waits for an editor.
func (s *Service) suppress(ctx context.Context, j job, r news.Receipt) error {
	var err error
	id := j.reader.Mailbox.ID
	switch r.Reason {
	case email.ReasonHardBounce:
		_, err = s.Store.ChangeMailbox(ctx, id, func(m *news.Mailbox) error {
			m.State = news.MailboxBounced
			return nil
		})
	case email.ReasonSoftBounce:
		_, err = s.Store.SuspendMailbox(ctx, id)
	}
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return fmt.Errorf("digest: suppress %s: %w", id, err)
	}
	s.judges.look(j.edition.ID())
	return nil
}
