package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dateline/internal/app/newsroom"
	"dateline/internal/app/showcase"
	"dateline/internal/intake"
	"dateline/internal/news"
	"dateline/internal/region"
)

// recent is how far back a story may lie to send something by itself.
const recent = 6 * time.Hour

// loadPhones makes the phones, with the wishes of their owners, and stores
// their subscriptions.
func (d *demo) loadPhones(ctx context.Context) error {
	d.task("loading " + number(d.Devices, "phone", "phones"))
	now := time.Now()
	readers := newPeople(d.Seed)
	for i, service := range d.services {
		share := d.Devices / len(d.services)
		if i == 0 {
			share += d.Devices % len(d.services)
		}
		phones, err := service.NewPhones(share)
		if err != nil {
			return err
		}
		for _, p := range phones {
			w, h := readers.wishes(now)
			d.phones = append(d.phones, showcase.Phone{Phone: p, Wishes: w, Label: region.Name(h.region, "en")})
		}
	}
	d.show.SetPhones(d.phones)
	const batch = 500
	for at := 0; at < len(d.phones); at += batch {
		var list []news.NewDevice
		for _, p := range d.phones[at:min(at+batch, len(d.phones))] {
			list = append(list, news.NewDevice{Push: p.Subscription(), Wishes: p.Wishes})
		}
		faults, err := d.app.store.ImportSubscriptions(ctx, list)
		if err := errors.Join(append(faults, err)...); err != nil {
			return fmt.Errorf("load phones: %w", err)
		}
		d.progress.Set(int64(at+len(list)), int64(len(d.phones)))
	}
	if err := d.app.bus.Wake("devices"); err != nil {
		return err
	}
	select {
	case <-d.app.dispatch.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	return d.until(ctx, func() (bool, error) {
		size := d.app.dispatch.Audience().Size()
		if size.Active < len(d.phones) {
			return false, nil
		}
		d.say("  audience    %s with %s", number(size.Active, "phone", "phones"), number(size.Preferences, "distinct preference", "distinct preferences"))
		return true, nil
	})
}

func (d *demo) loadReaders(ctx context.Context) error {
	now := time.Now().UTC().Truncate(time.Second)
	readers := newPeople(d.Seed + 1)
	var list []news.Mailbox
	for n := range d.Readers {
		list = append(list, readers.mailbox(n, now))
	}
	faults, err := d.app.store.ImportMailboxes(ctx, list)
	if err := errors.Join(append(faults, err)...); err != nil {
		return fmt.Errorf("load readers: %w", err)
	}
	d.show.SetReaders(list)
	d.say("              %s, confirmed", number(d.Readers, "digest reader", "digest readers"))
	return nil
}

// publishDay publishes the day through NATS, re-dated to end now. What is
// older than six hours goes in one stream; what is recent, and so sends
// something by itself, goes one by one, as a newsroom would.
func (d *demo) publishDay(ctx context.Context, entries []newsroom.Entry) error {
	d.task("publishing the day")
	end := time.Now().UTC()
	decoder, err := intake.NewDecoder(nil, time.Now)
	if err != nil {
		return err
	}
	send := func(e newsroom.Entry) (acked time.Time, err error) {
		body, err := e.Dated(end)
		if err != nil {
			return time.Time{}, err
		}
		story, err := decoder.Decode(news.StoryEvent{Body: body, At: time.Now()})
		if err != nil {
			return time.Time{}, err
		}
		if err := d.app.bus.PublishStory(ctx, intake.Event(story, body, "dateline demo")); err != nil {
			return time.Time{}, fmt.Errorf("publish: %w", err)
		}
		d.account.stories++
		d.progress.Set(int64(d.account.stories), int64(len(entries)))
		return time.Now(), nil
	}
	var late []newsroom.Entry
	for _, e := range entries {
		if e.After > -recent {
			late = append(late, e)
			continue
		}
		if _, err := send(e); err != nil {
			return err
		}
	}
	if err := d.stored(ctx); err != nil {
		return err
	}
	for _, e := range late {
		if err := d.publishRecent(ctx, func() (time.Time, error) { return send(e) }); err != nil {
			return err
		}
	}
	d.progress.Done()
	d.say("  newsroom    %d story events published through NATS and stored", d.account.stories)
	d.say("  policy      auto: nobody has to agree here before an alert goes out")
	return d.tell(ctx)
}

// publishRecent publishes one story and waits until what it sends has gone.
func (d *demo) publishRecent(ctx context.Context, send func() (time.Time, error)) error {
	acked, err := send()
	if err != nil {
		return err
	}
	if err := d.stored(ctx); err != nil {
		return err
	}
	return d.until(ctx, func() (bool, error) {
		alerts, err := d.app.store.Alerts(ctx, nil, 1)
		if err != nil || len(alerts) == 0 {
			return err == nil, err
		}
		a := alerts[0]
		if a.State != news.AlertSent {
			return a.State != news.AlertSending, nil
		}
		d.mu.Lock()
		shown, ok := d.first[a.ID]
		d.mu.Unlock()
		if ok && a.ID != d.account.timed && !a.CreatedAt.Before(acked.Add(-time.Second)) {
			d.account.timed = a.ID
			d.account.latencies = append(d.account.latencies, shown.Sub(acked))
		}
		return true, nil
	})
}

// stored waits until the intake has handled everything published so far.
func (d *demo) stored(ctx context.Context) error {
	return d.until(ctx, func() (bool, error) {
		f := d.app.intake.Figures()
		if f.DeadLetters > 0 {
			return false, fmt.Errorf("%d stories of the day were refused: it is a fault of the demo", f.DeadLetters)
		}
		return f.Stored+f.Duplicates+f.Older+f.Conflicts >= int64(d.account.stories), nil
	})
}

// until waits for a step of the demo, with a look at every arrival on a phone.
func (d *demo) until(ctx context.Context, done func() (bool, error)) error {
	p := patience{every: 20 * time.Millisecond, most: 2 * time.Minute, nudge: d.arrived}
	return p.until(ctx, done)
}

// runDigests runs every edition of the next 24 hours.
func (d *demo) runDigests(ctx context.Context) error {
	d.task("running the digests of the next 24 hours")
	began := time.Now()
	figures, err := d.app.digest.RunAt(ctx, time.Now().Add(24*time.Hour))
	if err != nil {
		return fmt.Errorf("digests: %w", err)
	}
	d.account.digests = figures
	d.say("  digests     %d due within 24 h: %d sent in %s, %d with no news, %d failed", figures.Due, figures.Sent,
		time.Since(began).Round(time.Millisecond), figures.Empty, figures.Failed+figures.Unknown+figures.Deferred)
	return nil
}
