package app

import (
	"context"
	"fmt"
	"time"

	"dateline/internal/digest"
	"dateline/internal/email"
	"dateline/templates"
)

// digestLease is how long a claimed mail stands without a sign of life.
const digestLease = 30 * time.Second

// mailConnections is how many mails are under way at once, of all providers; each has a
// share of its own (email.Providers).
const mailConnections = 16

func newDigest(a *App) (*digest.Service, error) {
	return digest.New(digest.Config{Workers: mailConnections, Busy: a.dispatch.Busy, WarmUp: a.cfg.MailWarmUp, Tracking: a.cfg.MailTracking, Store: a.store, Mailer: a.mailer, Links: a.links, Floor: a.floor, Templates: templates.FS,
		Publisher: email.Publisher(a.cfg.Publisher), BaseURL: a.baseURL(), Owner: a.holder, Lease: digestLease, Logger: a.log})
}

// recoverDigests ends, on a database that is ours alone, what a process before
// us had claimed: it is dead, whatever its leases say.
func (a *App) recoverDigests(ctx context.Context) error {
	if !a.cfg.embedded() {
		return nil
	}
	if _, _, err := a.store.RecoverDigests(ctx, time.Now().Add(2*digestLease)); err != nil {
		return fmt.Errorf("mails that a crash left: %w", err)
	}
	return nil
}
