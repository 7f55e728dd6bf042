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
	// Of a step with an alert, where they are kept: the hash of its content, whom
	// it goes to, and its texts. What the chain's hash is over is news.Record of
	// them and the detail.
	Content string               `json:"content,omitempty"`
	To      string               `json:"to,omitempty"`
	Texts   map[string]auditText `json:"texts,omitempty"`
	Hash    string               `json:"hash"`
}

type auditText struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

func auditLineOf(e news.AuditEntry) auditLine {
	r := news.ReadRecord(e.Detail)
	l := auditLine{Seq: e.Seq, At: e.At, By: e.By, Action: e.Action, Subject: e.Subject, Detail: r.Why, Content: r.Hash, To: r.To, Hash: e.Hash}
	for language, t := range r.Words {
		if l.Texts == nil {
			l.Texts = map[string]auditText{}
		}
		l.Texts[language] = auditText(t)
	}
	return l
}

// ExportAudit writes the audit trail as JSON lines, oldest first. Where the
// chain is broken it stops with an error that names the line; what is written
// until then is good.
func ExportAudit(ctx context.Context, cfg *Config, out io.Writer) error {
	return withStore(ctx, cfg, func(s *store.Store) error {
		buffer := bufio.NewWriter(out)
		lines := json.NewEncoder(buffer)
		lines.SetEscapeHTML(false)
		err := s.AuditTrail(ctx, func(e news.AuditEntry) error { return lines.Encode(auditLineOf(e)) })
		return errors.Join(err, buffer.Flush())
	})
}
