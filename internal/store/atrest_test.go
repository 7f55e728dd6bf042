package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// dump is every value of every table, as text and, for bytes, raw.
func dump(t *testing.T, db *sqlx.DB, tables []string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, table := range tables {
		dumpTable(t, db, table, &out)
	}
	return out.Bytes()
}

func dumpTable(t *testing.T, db *sqlx.DB, table string, out *bytes.Buffer) {
	t.Helper()
	rows, err := db.QueryxContext(context.Background(), "SELECT * FROM "+table) //nolint:sqlclosecheck // closed two lines below: it knows sql.Rows, not sqlx's
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		values, err := rows.SliceScan()
		must(t, err)
		for _, v := range values {
			if raw, ok := v.([]byte); ok {
				out.Write(raw)
			}
			fmt.Fprintf(out, "\n%v\n", v)
		}
	}
	must(t, rows.Err())
}

// Nothing of an endpoint, a device key or an address is readable in the
// database, in any usual spelling.
func TestSealedAtRest(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s := storetest.Open(t, store.Config{URL: url})
		d := subscribe(t, s, wishes("JP"))
		moved := push()
		_, err := s.ChangeSubscription(ctx, d.ID, func(d *news.Device) error { d.Push = moved; return nil })
		must(t, err)
		imported := push()
		_, err = s.ImportSubscriptions(ctx, []news.NewDevice{{Push: imported, Wishes: wishes("JP")}})
		must(t, err)
		m := confirmed(t, s, "secret.reader@example.org", d.SubscriberID)
		_, err = s.ImportMailboxes(ctx, []news.Mailbox{{Address: "Imported.Reader@example.org", Wishes: wishes("JP")}})
		must(t, err)
		_, err = s.ChangeMailbox(ctx, m.ID, func(m *news.Mailbox) error { m.Address = "other.reader@example.org"; return nil })
		must(t, err)
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: m.ID, Way: news.LeftByPage}))
		snapshot(t, s, d.Cell)

		var tables []string
		db := raw(t, url)
		query := "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
		if s.Engine() == "sqlite" {
			query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
		}
		must(t, db.Select(&tables, query))
		all := dump(t, db, tables)
		if s.Engine() == "sqlite" { // and what the files keep of the past
			for _, suffix := range []string{"", "-wal"} {
				file, err := os.ReadFile(strings.TrimPrefix(url, "sqlite:") + suffix)
				must(t, err)
				all = append(all, file...)
			}
		}
		if !bytes.Contains(all, []byte(d.ID)) {
			t.Fatal("the dump lacks the device: the test looks at nothing")
		}
		all = bytes.ToLower(all)
		secrets := []string{"reader@example.org", "secret.reader", "push.example/"}
		for _, p := range []news.PushSubscription{d.Push, moved, imported} {
			for _, key := range [][]byte{p.P256dh, p.Auth} {
				secrets = append(secrets, string(key), hex.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
					base64.StdEncoding.EncodeToString(key))
			}
		}
		for i, secret := range secrets {
			if bytes.Contains(all, bytes.ToLower([]byte(secret))) {
				t.Errorf("secret %d is readable", i)
			}
		}
	})
}

// A sealed value moved to another row, or read with another key, is refused.
func TestSealedRowsAreBound(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s := storetest.Open(t, store.Config{URL: url})
		a, b := subscribe(t, s, wishes("JP")), subscribe(t, s, wishes("JP"))
		db := raw(t, url)
		_, err := db.Exec(fmt.Sprintf("UPDATE devices SET secret = (SELECT secret FROM devices WHERE id = '%s') WHERE id = '%s'", a.ID, b.ID))
		must(t, err)
		if _, err := s.Subscription(ctx, b.ID); err == nil || strings.Contains(err.Error(), "push.example") {
			t.Errorf("a moved secret: %v", err)
		}
		if _, err := s.Subscription(ctx, a.ID); err != nil {
			t.Error(err)
		}
		other := storetest.Open(t, store.Config{URL: url, SealKey: bytes.Repeat([]byte{9}, 32)})
		if _, err := other.Subscription(ctx, a.ID); err == nil {
			t.Error("another key opened it")
		}
	})
}
