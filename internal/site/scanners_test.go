package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// contents is a digest of every row of every table.
func contents(t *testing.T, url string) map[string]string {
	t.Helper()
	driver, dsn, list := "postgres", url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn, list = "sqlite", "file:"+path+"?_busy_timeout=5000", "SELECT name FROM sqlite_schema WHERE type = 'table'"
	}
	db, err := sqlx.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables []string
	if err := db.Select(&tables, list); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, table := range tables {
		rows, err := db.QueryxContext(context.Background(), "SELECT * FROM "+table) //nolint:sqlclosecheck // closed below: it knows sql.Rows, not sqlx's
		if err != nil {
			t.Fatal(err)
		}
		var lines [][]byte
		for rows.Next() {
			values, err := rows.SliceScan()
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Appendf(nil, "%v", values))
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
		slices.SortFunc(lines, bytes.Compare)
		out[table] = fmt.Sprintf("%d %x", len(lines), sha256.Sum256(bytes.Join(lines, []byte("\n"))))
	}
	return out
}

func differing(a, b map[string]string) (tables []string) {
	for table := range a {
		if a[table] != b[table] {
			tables = append(tables, table)
		}
	}
	slices.Sort(tables)
	return tables
}

// TestScannersChangeNothing: 10,000 GET and HEAD requests on every link that a
// mail or a page has leave the whole database as it was; one press does what it
// says, and a second is fine.
func TestScannersChangeNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves out 10,000 pages")
	}
	storetest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		s := storetest.Open(t, store.Config{URL: url})
		h := newHouse(t, func(c *Config) { c.Store, c.Now = s, nil })
		h.now = h.site.Now()
		var c credentials
		decode(t, h.do("POST", "/api/v1/subscriptions", body()).Body, &c)
		for _, address := range []string{"reader@b.example", "second@b.example"} {
			if w := h.do("POST", "/api/v1/digests", `{"email":"`+address+`","regions":["JP"]}`); w.Code != 202 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		signups, err := s.ClaimSignupMails(t.Context(), "test", 10, 0)
		if err != nil || len(signups) != 2 {
			t.Fatal(signups, err)
		}
		first, second := h.path(link.Confirm, signups[0].ID), h.path(link.Confirm, signups[1].ID)
		box, err := s.ConfirmDigest(t.Context(), signups[0].ID, news.Consent{})
		if err != nil {
			t.Fatal(err)
		}
		fresh, unsubscribe := h.path(link.FreshMailbox, box.ID), h.path(link.Unsubscribe, box.ID)
		links := []string{first, second, unsubscribe, h.path(link.ManageDevice, c.ID), h.path(link.ManageMailbox, box.ID), fresh, fresh + "/data.json",
			fresh + "?action=wipe&sure=on", h.path(link.ManageDevice, c.ID) + "?action=leave", "/feeds/alerts.atom?region=JP", "/feeds/alerts.json", "/alerts?region=JP",
			"/why/" + sentAlert + "/" + h.links.Sign(link.Why, c.ID, h.now.Add(link.ManageFor))}
		before := contents(t, url)
		for n := range 10_000 {
			// One in twenty of the pages with the whole form, which costs a hundred
			// times what the short ones do.
			path := links[n%3]
			if n%20 == 0 {
				path = links[n/20%len(links)]
			}
			w := h.do([]string{"GET", "HEAD"}[n/3%2], path, "", "User-Agent", "Mozilla/5.0 (compatible; SafeLinks)", "Sec-Purpose", "prefetch")
			if w.Code != 200 && (!strings.HasPrefix(path, "/why/") || w.Code != 404) {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		if changed := differing(before, contents(t, url)); len(changed) > 0 {
			t.Fatalf("scanners changed %v", changed)
		}
		for _, press := range []struct {
			path string
			want []string
		}{{second, []string{"digest_signups", "mailboxes"}}, {unsubscribe, []string{"departures", "mailboxes", "suppressions"}}} {
			before := contents(t, url)
			if w := h.form(press.path, ""); w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			after := contents(t, url)
			if changed := differing(before, after); !slices.Equal(changed, press.want) {
				t.Errorf("one press changed %v, want %v", changed, press.want)
			}
			if w := h.form(press.path, ""); w.Code != 200 {
				t.Fatalf("twice: %d %s", w.Code, w.Body)
			}
			if changed := differing(after, contents(t, url)); len(changed) > 0 && !slices.Equal(changed, []string{"mailboxes"}) { // its updated_at
				t.Errorf("the second press changed %v", changed)
			}
		}
	})
}
