package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"dateline/internal/news"
	"dateline/internal/store"
)

// TestAuditTrail: it is exported whole, and a line that was changed is named by
// the export and by the doctor.
func TestAuditTrail(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	var out strings.Builder
	if err := Migrate(t.Context(), &cfg, &out); err != nil {
		t.Fatal(err)
	}
	err := withStore(t.Context(), &cfg, func(s *store.Store) error {
		for _, detail := range []string{"a forgery", "the figure <b>7</b>", "again"} {
			if err := s.AppendAudit(t.Context(), news.AuditEntry{By: "Aiko Mori", Action: "kill", Subject: "alert/1", Detail: detail}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := ExportAudit(t.Context(), &cfg, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var second map[string]any
	if len(lines) != 3 || json.Unmarshal([]byte(lines[1]), &second) != nil || second["detail"] != "the figure <b>7</b>" ||
		second["seq"] != 2.0 || second["by"] != "Aiko Mori" || second["hash"] == "" || len(second) != 7 {
		t.Errorf("exported:\n%s", &out)
	}
	if says := examinedTrail(t, &cfg); !strings.Contains(says, "  ok   audit trail    3 lines, unbroken") {
		t.Errorf("the doctor says\n%s", says)
	}
	rewrite(t, &cfg)
	out.Reset()
	if err := ExportAudit(t.Context(), &cfg, &out); err == nil || !strings.Contains(err.Error(), "line 2 ") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("a broken trail is exported: %v\n%s", err, &out)
	}
	if says := examinedTrail(t, &cfg); !strings.Contains(says, "MEND   audit trail    line 2 ") {
		t.Errorf("the doctor says of a broken trail\n%s", says)
	}
}

func examinedTrail(t *testing.T, cfg *Config) string {
	t.Helper()
	var out strings.Builder
	e := &examination{cfg: cfg, out: &out}
	keys, whole := e.keys()
	if !whole {
		t.Fatal(out.String())
	}
	e.database(t.Context(), keys)
	return out.String()
}

// rewrite changes the second line, as only another program could.
func rewrite(t *testing.T, cfg *Config) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(cfg.Data, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"DROP TRIGGER audit_is_not_changed", "UPDATE audit SET detail = 'nothing' WHERE seq = 2"} {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
