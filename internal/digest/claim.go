package digest

import (
	"context"
	"sync"
	"time"

	"dateline/internal/news"
)

// claim is one mail that is ours to send, from the claim to its last state.
// While it is open its lease is renewed, so that neither a slow mail server
// nor our own recovery takes it away.
type claim struct {
	service *Service
	mu      sync.Mutex
	mail    news.DigestMail
	closed  bool
	timer   *time.Timer
}

// claim takes a mail, or gives nil when it is somebody else's or finished.
func (s *Service) claim(ctx context.Context, mail news.DigestMail) (*claim, error) {
	now := s.now()
	mail.Owner, mail.LeaseUntil, mail.UpdatedAt = s.Owner, now.Add(s.Lease), now
	ours, err := s.Store.ClaimDigest(ctx, mail)
	if err != nil || !ours {
		return nil, err
	}
	c := &claim{service: s, mail: mail}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(s.Lease/3, c.renew)
	return c, nil
}

// markPatience is how long a state is tried to be written once the context of
// the run has ended.
const markPatience = 5 * time.Second

// mark writes a state that is not the last.
func (c *claim) mark(ctx context.Context, change func(*news.DigestMail)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.mail)
	return c.write(ctx)
}

// finish writes the last state and lets go. The context may have ended: what
// happened has to be written all the same.
func (c *claim) finish(ctx context.Context, change func(*news.DigestMail)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.timer.Stop()
	change(&c.mail)
	return c.write(ctx)
}

func (c *claim) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markPatience)
	defer cancel()
	now := c.service.now()
	c.mail.UpdatedAt, c.mail.LeaseUntil = now, now.Add(c.service.Lease)
	if c.closed {
		c.mail.LeaseUntil = time.Time{}
	}
	return c.service.Store.MarkDigest(ctx, c.mail)
}

func (c *claim) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if err := c.write(context.Background()); err != nil {
		// The claim is lost or the store is away: the mark before the dot will
		// find out.
		c.service.log.Warn("lease of a mail not renewed", "mailbox", c.mail.MailboxID, "error", err)
	}
	c.timer.Reset(c.service.Lease / 3)
}
