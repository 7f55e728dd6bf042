package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"
)

// poolWorkers is how many messages the baseline has under way: more gain it
// nothing without a way to go (measured: 16 to 512).
const poolWorkers = 128

// baseline sends the same text as one would first write it: a pool of goroutines
// over webpush-go and the standard library's client.
func (b *benchPush) baseline(ctx context.Context) (BenchRow, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(b.services.CA))
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	defer transport.CloseIdleConnections()
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		return BenchRow{}, err
	}
	options := &webpush.Options{HTTPClient: &http.Client{Transport: transport}, Subscriber: "desk@news.example", TTL: 3600, Urgency: webpush.UrgencyHigh,
		VAPIDPublicKey: public, VAPIDPrivateKey: private, Topic: "0123456789abcdef0123456789abcdef"}
	before, err := b.services.tell(ctx, "")
	if err != nil {
		return BenchRow{}, err
	}
	took := make([]time.Duration, b.Baseline)
	var next, failed atomic.Int64
	var all sync.WaitGroup
	m := startMeter()
	for range poolWorkers {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.Baseline || ctx.Err() != nil {
					return
				}
				if err := b.sendPlain(ctx, i, options); err != nil {
					failed.Add(1)
				}
				took[i] = time.Since(m.at)
			}
		})
	}
	all.Wait()
	row := m.row(fmt.Sprintf("webpush-go, a pool of %d", poolWorkers), b.Baseline)
	if failed.Load() > 0 || ctx.Err() != nil {
		return row, errors.Join(ctx.Err(), fmt.Errorf("%d messages of the baseline failed", failed.Load()))
	}
	after, err := b.services.tell(ctx, "")
	row.times(took)
	row.Baseline = true
	row.Bytes = after.Bytes - before.Bytes
	return row, err
}

// plainText has about as many bytes as the alert's payload.
var plainText = slices.Repeat([]byte("Japan's parliament passes the budget. "), 17)

func (b *benchPush) sendPlain(ctx context.Context, i int, options *webpush.Options) error {
	to := b.phones[i%len(b.phones)]
	own := *options // the library appends its padding to the message it is given, and writes into the options
	resp, err := webpush.SendNotificationWithContext(ctx, slices.Clone(plainText), &webpush.Subscription{Endpoint: to.Endpoint,
		Keys: webpush.Keys{P256dh: base64.RawURLEncoding.EncodeToString(to.P256dh), Auth: base64.RawURLEncoding.EncodeToString(to.Auth)}}, &own)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
