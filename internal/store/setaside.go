package store

import (
	"context"
	"fmt"
	"strconv"

	"dateline/internal/news"
)

// keepConflict keeps a second body of a version; the same one once.
func (s *Store) keepConflict(ctx context.Context, c conn, received, known news.Story) error {
	return c.exec(ctx, `INSERT INTO story_conflicts (id, uri, version, known, received_hash, received, received_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uri, version, received_hash) DO NOTHING`,
		newID(), received.URI, known.Version, known.Hash, received.Hash, doc(storyRowOf(received)), s.now())
}

// StoryConflicts lists the bodies that were refused because the version was
// known with another content, newest first.
func (s *Store) StoryConflicts(ctx context.Context, limit int) ([]news.StoryConflictRecord, error) {
	var rows []struct {
		ID         string             `db:"id"`
		URI        string             `db:"uri"`
		Version    int64              `db:"version"`
		Known      string             `db:"known"`
		Received   document[storyRow] `db:"received"`
		ReceivedAt stamp              `db:"received_at"`
	}
	if err := s.read().sel(ctx, &rows, `SELECT id, uri, version, known, received, received_at FROM story_conflicts
		ORDER BY received_at DESC, id DESC LIMIT ?`, limit); err != nil {
		return nil, s.fail(err, "StoryConflicts", "")
	}
	out := make([]news.StoryConflictRecord, len(rows))
	for i, r := range rows {
		out[i] = news.StoryConflictRecord{ID: r.ID, URI: r.URI, Version: r.Version, Known: r.Known,
			Received: r.Received.V.story(), ReceivedAt: r.ReceivedAt.Time}
	}
	return out, nil
}

const deadLetterColumns = "id, received_at, source, subject, sequence, headers, body, problems, replayed_at, replay_note, dismissed_by, dismissed_at, dismissed_for"

type deadLetterRow struct {
	ID         string                        `db:"id"`
	ReceivedAt stamp                         `db:"received_at"`
	Source     string                        `db:"source"`
	Subject    string                        `db:"subject"`
	Sequence   int64                         `db:"sequence"`
	Headers    document[map[string][]string] `db:"headers"`
	Body       []byte                        `db:"body"`
	Problems   document[[]problemJSON]       `db:"problems"`
	ReplayedAt stamp                         `db:"replayed_at"`
	ReplayNote string                        `db:"replay_note"`

	DismissedBy  string `db:"dismissed_by"`
	DismissedAt  stamp  `db:"dismissed_at"`
	DismissedFor string `db:"dismissed_for"`
}

type problemJSON struct {
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

func (r deadLetterRow) letter() news.DeadLetter {
	return news.DeadLetter{ID: r.ID, ReceivedAt: r.ReceivedAt.Time, Source: r.Source, Subject: r.Subject,
		Sequence: uint64(r.Sequence), Headers: r.Headers.V, Body: r.Body,
		Problems:   convert(r.Problems.V, func(p problemJSON) news.Problem { return news.Problem(p) }),
		ReplayedAt: r.ReplayedAt.Time, ReplayNote: r.ReplayNote,
		DismissedBy: r.DismissedBy, DismissedAt: r.DismissedAt.Time, DismissedFor: r.DismissedFor}
}

// SaveDeadLetter sets an event aside. One with a Sequence is kept once per
// (Source, Sequence). An empty ID or ReceivedAt is filled.
func (s *Store) SaveDeadLetter(ctx context.Context, d news.DeadLetter) error {
	if d.ID == "" {
		d.ID = newID()
	}
	if d.ReceivedAt.IsZero() {
		d.ReceivedAt = s.now()
	}
	if d.Body == nil {
		d.Body = []byte{}
	}
	row := deadLetterRow{ID: d.ID, ReceivedAt: at(d.ReceivedAt), Source: d.Source, Subject: plain(d.Subject),
		Sequence: int64(d.Sequence), Headers: doc(d.Headers), Body: d.Body,
		Problems:   doc(convert(d.Problems, func(p news.Problem) problemJSON { return problemJSON(p) })),
		ReplayedAt: at(d.ReplayedAt), ReplayNote: plain(d.ReplayNote)}
	err := s.write().insert(ctx, "dead_letters", deadLetterColumns, row, "ON CONFLICT DO NOTHING")
	return s.fail(err, "SaveDeadLetter", d.ID)
}

// DeadLetters lists the newest events set aside that nobody has dismissed.
func (s *Store) DeadLetters(ctx context.Context, limit int) ([]news.DeadLetter, error) {
	out, err := s.letters(ctx, "dismissed_at IS NULL ORDER BY received_at DESC, id DESC", limit)
	return out, s.fail(err, "DeadLetters", "")
}

// DismissedLetters lists those that were dismissed, the last one first.
func (s *Store) DismissedLetters(ctx context.Context, limit int) ([]news.DeadLetter, error) {
	out, err := s.letters(ctx, "dismissed_at IS NOT NULL ORDER BY dismissed_at DESC, id DESC", limit)
	return out, s.fail(err, "DismissedLetters", "")
}

func (s *Store) letters(ctx context.Context, which string, limit int) ([]news.DeadLetter, error) {
	var rows []deadLetterRow
	err := s.read().sel(ctx, &rows, "SELECT "+deadLetterColumns+" FROM dead_letters WHERE "+which+" LIMIT ?", limit)
	return convert(rows, deadLetterRow.letter), err
}

// DismissLetter takes a letter off the list, for a reason, and says so in the
// audit trail; news.ErrConflict when somebody has.
func (s *Store) DismissLetter(ctx context.Context, id, by, why string) error {
	err := s.inTx(ctx, func(c conn) error {
		var before string
		if err := c.get(ctx, &before, "SELECT dismissed_by FROM dead_letters WHERE id = ?"+c.d.forUpdate, id); err != nil {
			return err
		}
		if before != "" {
			return verdictOf(fmt.Errorf("%w: %s has dismissed it already", news.ErrConflict, before))
		}
		if err := c.one(ctx, "UPDATE dead_letters SET dismissed_by = ?, dismissed_at = ?, dismissed_for = ? WHERE id = ?",
			by, s.now(), plain(why), id); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "dismiss", Subject: "letter/" + id, Detail: why})
	})
	return s.fail(err, "DismissLetter", id)
}

// DeadLetter is one event set aside.
func (s *Store) DeadLetter(ctx context.Context, id string) (news.DeadLetter, error) {
	var r deadLetterRow
	err := s.read().get(ctx, &r, "SELECT "+deadLetterColumns+" FROM dead_letters WHERE id = ?", id)
	return r.letter(), s.fail(err, "DeadLetter", id)
}

// MarkReplayed notes that a dead letter was handled again, and how it went.
func (s *Store) MarkReplayed(ctx context.Context, id, note string) error {
	err := s.write().one(ctx, "UPDATE dead_letters SET replayed_at = ?, replay_note = ? WHERE id = ?",
		s.now(), plain(note), id)
	return s.fail(err, "MarkReplayed", id)
}

// BeginHandling counts a start on the event with that sequence and says how
// many earlier starts never ended: each of them was a crash.
func (s *Store) BeginHandling(ctx context.Context, sequence uint64) (crashes int, err error) {
	err = s.write().get(ctx, &crashes, `INSERT INTO handlings (sequence, starts, started_at) VALUES (?, 1, ?)
		ON CONFLICT (sequence) DO UPDATE SET starts = handlings.starts + 1, started_at = excluded.started_at
		RETURNING starts - 1`, int64(sequence), s.now())
	return crashes, s.fail(err, "BeginHandling", strconv.FormatUint(sequence, 10))
}

// EndHandling forgets the starts: the process lived through it.
func (s *Store) EndHandling(ctx context.Context, sequence uint64) error {
	err := s.write().exec(ctx, "DELETE FROM handlings WHERE sequence = ?", int64(sequence))
	return s.fail(err, "EndHandling", strconv.FormatUint(sequence, 10))
}
