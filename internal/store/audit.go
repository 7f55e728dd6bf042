package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"dateline/internal/news"
)

// auditRow is one line of the audit trail.
type auditRow struct {
	Seq     int64  `db:"seq"`
	At      stamp  `db:"at"`
	Actor   string `db:"actor"`
	Action  string `db:"action"`
	Subject string `db:"subject"`
	Detail  string `db:"detail"`
	Hash    string `db:"hash"`
}

func (r auditRow) entry() news.AuditEntry {
	return news.AuditEntry{Seq: r.Seq, At: r.At.Time, By: r.Actor, Action: r.Action, Subject: r.Subject, Detail: r.Detail, Hash: r.Hash}
}

// chained is the hash of the line, given that of the line before it. Every
// part has its length before it, so no two lines have the same bytes.
func (r auditRow) chained(before string) string {
	h := sha256.New()
	for _, part := range []string{before, strconv.FormatInt(r.Seq, 10), r.At.UTC().Format(time.RFC3339Nano), r.Actor, r.Action, r.Subject, r.Detail} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// audit appends one line, inside the transaction of what it tells of; an empty
// At is now. The lock on the head is the last one such a transaction takes, and
// makes the lines one chain.
func (s *Store) audit(ctx context.Context, c conn, e news.AuditEntry) error {
	var head struct {
		Seq  int64  `db:"seq"`
		Hash string `db:"hash"`
	}
	if err := c.get(ctx, &head, "SELECT seq, hash FROM audit_head WHERE id = 1"+s.dialect.forUpdate); err != nil {
		return err
	}
	r := auditRow{Seq: head.Seq + 1, At: s.orNow(at(e.At)), Actor: plain(e.By), Action: plain(e.Action), Subject: plain(e.Subject), Detail: plain(e.Detail)}
	r.Hash = r.chained(head.Hash)
	if err := c.insert(ctx, "audit", "seq, at, actor, action, subject, detail, hash", r, ""); err != nil {
		return err
	}
	return c.exec(ctx, "UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1", r.Seq, r.Hash)
}

// AppendAudit adds a line to the audit trail.
func (s *Store) AppendAudit(ctx context.Context, e news.AuditEntry) error {
	err := s.inTx(ctx, func(c conn) error { return s.audit(ctx, c, e) })
	return s.fail(err, "AppendAudit", e.Subject)
}

// Audit lists the newest lines of the audit trail, newest first.
func (s *Store) Audit(ctx context.Context, limit int) ([]news.AuditEntry, error) {
	var rows []auditRow
	err := s.read().sel(ctx, &rows, "SELECT seq, at, actor, action, subject, detail, hash FROM audit ORDER BY seq DESC LIMIT ?", limit)
	return convert(rows, auditRow.entry), s.fail(err, "Audit", "")
}

// auditPart lines of the trail are read at a time.
const auditPart = 1000

// AuditTrail gives every line, oldest first, having checked that it follows
// from the one before; news.ErrConflict names the first that does not.
func (s *Store) AuditTrail(ctx context.Context, line func(news.AuditEntry) error) error {
	last := auditRow{}
	for {
		var rows []auditRow
		err := s.read().sel(ctx, &rows, `SELECT seq, at, actor, action, subject, detail, hash FROM audit
			WHERE seq > ? ORDER BY seq LIMIT ?`, last.Seq, auditPart)
		if err != nil {
			return s.fail(err, "AuditTrail", "")
		}
		for _, r := range rows {
			if r.Seq != last.Seq+1 || r.Hash != r.chained(last.Hash) {
				return fmt.Errorf("%w: line %d of the audit trail does not follow from line %d: one of them was changed or taken out", news.ErrConflict, r.Seq, last.Seq)
			}
			if err := line(r.entry()); err != nil {
				return err
			}
			last = r
		}
		if len(rows) < auditPart {
			return s.auditEnds(ctx, last)
		}
	}
}

// auditEnds compares the last line read with the head: fewer lines than it
// says were taken from the end. More may have been added meanwhile.
func (s *Store) auditEnds(ctx context.Context, last auditRow) error {
	var head int64
	if err := s.read().get(ctx, &head, "SELECT seq FROM audit_head WHERE id = 1"); err != nil {
		return s.fail(err, "AuditTrail", "")
	}
	var there int64
	if err := s.read().get(ctx, &there, "SELECT COUNT(*) FROM audit WHERE seq > ? AND seq <= ?", last.Seq, head); err != nil {
		return s.fail(err, "AuditTrail", "")
	}
	if last.Seq+there < head {
		return fmt.Errorf("%w: the audit trail ends with line %d, and had %d", news.ErrConflict, last.Seq+there, head)
	}
	return nil
}
