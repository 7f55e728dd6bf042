package app

import (
	"context"
	"fmt"
	"time"

	"dateline/internal/digest"
	"dateline/internal/email"
	"dateline/internal/email/bounce"
	"dateline/internal/news"
	"dateline/templates"
)

// digestLease is how long a claimed mail stands without a sign of life.
const digestLease = 30 * time.Second

// mailConnections is how many mails are under way at once, of all providers; each has a
// share of its own (email.Providers).
const mailConnections = 16

func newDigest(a *App) (*digest.Service, error) {
	return digest.New(digest.Config{Workers: mailConnections, Busy: a.dispatch.Busy, WarmUp: a.cfg.MailWarmUp, Tracking: a.cfg.MailTracking, BounceAddress: a.cfg.BounceAddress,
		TakesBack: a.cfg.BounceListen != "", Store: a.store, Mailer: a.mailer, Links: a.links, Floor: a.floor, Templates: templates.FS,
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

// openBackDoor listens for mail that comes back, where the digests are sent from.
func (a *App) openBackDoor() (err error) {
	if a.cfg.BounceListen == "" || !a.cfg.Has(RoleDigest) {
		return nil
	}
	take := func(ctx context.Context, d bounce.Delivery) error { return a.digest.TakeBack(ctx, returned(d)) }
	a.backDoor, err = bounce.Listen(bounce.Config{Addr: a.cfg.BounceListen, Address: a.cfg.BounceAddress, Known: a.digest.OurToken, Take: take, Logger: a.log})
	if err != nil {
		return fmt.Errorf("DATELINE_BOUNCE_LISTEN: %w", err)
	}
	a.onClose("mail that comes back", a.backDoor.Close)
	return nil
}

// returned is a mail that came back, as the digest knows it.
func returned(d bounce.Delivery) news.ReturnedMail {
	return news.ReturnedMail{Token: d.Token, Kind: news.ReturnedKind(d.Report.Kind), ID: d.Report.ID, Status: d.Report.Status, Reason: d.Report.Reason,
		Detail: d.Report.Detail, Tokens: d.Report.Tokens}
}
