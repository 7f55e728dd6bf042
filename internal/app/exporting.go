package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
)

// auditLine is one line of the audit trail as it is exported. Its hash is over
// the line and the hash of the one before.
type auditLine struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	Detail  string    `json:"detail"`
	Hash    string    `json:"hash"`
}

// ExportAudit writes the audit trail as JSON lines, oldest first. Where the
// chain is broken it stops with an error that names the line; what is written
// until then is good.
func ExportAudit(ctx context.Context, cfg *Config, out io.Writer) error {
	return withStore(ctx, cfg, func(s *store.Store) error {
		buffer := bufio.NewWriter(out)
		lines := json.NewEncoder(buffer)
		lines.SetEscapeHTML(false)
		err := s.AuditTrail(ctx, func(e news.AuditEntry) error { return lines.Encode(auditLine(e)) })
		return errors.Join(err, buffer.Flush())
	})
}
