package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"dateline/internal/app/newsroom"
	"dateline/internal/app/showcase"
	"dateline/internal/email"
	"dateline/internal/mailtest"
	"dateline/internal/simulate"
)

// dkimKey is a fresh key as DATELINE_DKIM_KEY has it, and its TXT record.
func dkimKey(t *testing.T) (text, record string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if record, err = email.DKIMRecord(key); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), record
}

// signUp asks for a digest as a reader does.
func signUp(ctx context.Context, origin, address, language string) error {
	body, err := json.Marshal(map[string]any{"email": address, "regions": []string{"JP"}, "timezone": "Asia/Tokyo", "language": language, "hour": 7})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/api/v1/digests", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("sign up in %q: %s", language, resp.Status)
	}
	return nil
}

// dayOfMails runs the demo's day with a mail domain of its own, and the
// sign-ups, and gives every mail that arrived.
func dayOfMails(t *testing.T, key string, languages []string) []simulate.Mail {
	t.Helper()
	d := &demo{DemoOptions: DemoOptions{Once: true, Devices: 30, Readers: 500, Seed: 142, Listen: "127.0.0.1:0", Out: io.Discard},
		first: map[string]time.Time{}, arrived: make(chan struct{}, 1), progress: NewProgress(io.Discard, "")}
	if err := d.startServices(); err != nil {
		t.Fatal(err)
	}
	defer d.closeServices()
	cfg := d.config(t.TempDir())
	cfg.BaseURL, cfg.DKIMKey, cfg.DKIMSelector = "https://alerts.news.example", key, "d2026"
	var err error
	if d.app, err = Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.app.Close(); err != nil {
			t.Error(err)
		}
	}()
	d.show = showcase.New(showcase.Config{Floor: d.app.floor, Outbox: d.app.outbox})
	entries, err := newsroom.Day()
	if err != nil {
		t.Fatal(err)
	}
	steps := []func(context.Context) error{d.loadPhones, d.loadReaders,
		func(ctx context.Context) error { return d.publishDay(ctx, entries) }, d.runDigests,
		func(ctx context.Context) error {
			for _, language := range languages {
				if err := signUp(ctx, d.app.URL(), language+"@demo.example", language); err != nil {
					return err
				}
			}
			return d.app.outbox.Wait(ctx, d.account.digests.Sent+len(languages))
		}}
	err = alongside(t.Context(), d.app.Run, func(ctx context.Context) error {
		for _, step := range steps {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := d.account.digests; f.Sent < 400 || f.Failed+f.Deferred+f.Unknown > 0 {
		t.Fatalf("digests %+v", f)
	}
	return d.app.outbox.Mails()
}

// TestEveryMailOfADayIsSound: whatever the day, the language and the reader, a
// mail has what providers ask of bulk mail, says the same in both parts, and
// bears a signature that covers the way out.
func TestEveryMailOfADayIsSound(t *testing.T) {
	t.Parallel()
	key, record := dkimKey(t)
	languages := []string{"en", "ja", "hi", "ar", "zh-Hant"}
	mails := dayOfMails(t, key, languages)
	lists, largest := 0, 0
	found := map[string]int{}
	for _, m := range mails {
		header, err := m.Header()
		if err != nil {
			t.Fatal(err)
		}
		if header.Get("List-Unsubscribe") != "" {
			lists++
		}
		largest = max(largest, len(m.Raw))
		for _, finding := range mailtest.Lint(m.Raw) {
			found[finding]++
		}
		if err := mailtest.VerifyDKIM(m.Raw, record); err != nil {
			found["DKIM: "+err.Error()]++
		}
	}
	for finding, n := range found {
		t.Errorf("%d mails: %s", n, finding)
	}
	if len(mails)-lists != len(languages) {
		t.Errorf("%d of %d mails are a list's; %d are confirmations", lists, len(mails), len(languages))
	}
	t.Logf("%d mails, the largest of %d KB", len(mails), largest>>10)
}
