package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

func trail(t *testing.T, s *store.Store) ([]news.AuditEntry, error) {
	t.Helper()
	var lines []news.AuditEntry
	err := s.AuditTrail(context.Background(), func(e news.AuditEntry) error { lines = append(lines, e); return nil })
	return lines, err
}

// Lines written at once from everywhere are one chain.
func TestTheAuditTrailIsOneChain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const writers, each = 4, 10
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if err := s.AppendAudit(context.Background(), news.AuditEntry{By: fmt.Sprint("editor ", w), Action: "kill", Subject: fmt.Sprint("alert/", i)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		lines, err := trail(t, s)
		if err != nil || len(lines) != writers*each || lines[0].Seq != 1 || lines[len(lines)-1].Seq != writers*each {
			t.Errorf("%d lines, %v", len(lines), err)
		}
	})
}

// The program's own connection can't change the trail (T84), and who goes
// round that is found out.
func TestT84_TheAuditTrailIsNotRewritten(t *testing.T) {
	for name, rewrite := range map[string][]string{
		"a word changed": {"UPDATE audit SET detail = 'nothing' WHERE seq = 2"},
		"a line gone":    {"DELETE FROM audit WHERE seq = 2"},
		"the end gone":   {"DELETE FROM audit WHERE seq > 3"},
		"all gone":       {"DELETE FROM audit"},
	} {
		t.Run(name, func(t *testing.T) { rewriteTrail(t, name, rewrite) })
	}
}

func rewriteTrail(t *testing.T, name string, rewrite []string) {
	t.Helper()
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		for i := range 5 {
			must(t, s.AppendAudit(context.Background(), news.AuditEntry{By: "Ann", Action: "release", Subject: fmt.Sprint("alert/", i), Detail: "text"}))
		}
		db := raw(t, url)
		for _, sql := range rewrite {
			if _, err := db.Exec(sql); err == nil || !strings.Contains(err.Error(), "never changed") {
				t.Errorf("%s: %q went through: %v", name, sql, err)
			}
		}
		if _, err := trail(t, s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		drop := []string{"DROP TRIGGER audit_is_not_changed", "DROP TRIGGER audit_is_not_cut"}
		if s.Engine() == "postgres" {
			drop = []string{"DROP TRIGGER audit_is_not_changed ON audit"}
		}
		for _, sql := range append(drop, rewrite...) {
			_, err := db.Exec(sql)
			must(t, err)
		}
		if _, err := trail(t, s); !errors.Is(err, news.ErrConflict) {
			t.Errorf("%s is not found: %v", name, err)
		}
	})
}
