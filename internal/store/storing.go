package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dateline/internal/news"
)

// head is the row that everything about one story locks first.
type head struct {
	Latest   int64 `db:"latest"`
	Revision int   `db:"revision"`
}

// lockHead locks a story's head; sql.ErrNoRows when the URI is unknown.
func lockHead(ctx context.Context, c conn, uri string) (head, error) {
	var h head
	err := c.get(ctx, &h, "SELECT latest, revision FROM story_heads WHERE uri = ?"+c.d.forUpdate, uri)
	return h, err
}

// StoreStory stores one story event and what follows from it, in one
// transaction under a lock on the story's URI.
//
// A version of 0 means: the next one when the story was created later than
// the newest known, older when it was created before it. decide is asked only
// about an event that is stored; it must be pure and may be asked again. Its
// effects are applied in the same transaction: Draft.StoryVersion 0 becomes
// the stored version, releases get their Revision and Changes.
//
// The story comes back with its version: the known one for a duplicate; for
// an older event without a version of its own, the newest known.
func (s *Store) StoreStory(ctx context.Context, story news.Story,
	decide func(news.StoryPrior) (news.StoryEffects, error),
) (news.Story, news.StoryResult, error) {
	var out news.Story
	var result news.StoryResult
	err := s.inTx(ctx, func(c conn) error {
		var err error
		out, result, err = s.storeStory(ctx, c, story, decide)
		return err
	})
	if err != nil {
		return news.Story{}, "", s.fail(err, "StoreStory", story.URI)
	}
	return out, result, nil
}

func (s *Store) storeStory(ctx context.Context, c conn, story news.Story,
	decide func(news.StoryPrior) (news.StoryEffects, error),
) (news.Story, news.StoryResult, error) {
	if err := c.exec(ctx, `INSERT INTO story_heads (uri, latest, revision) VALUES (?, 0, 0)
		ON CONFLICT (uri) DO NOTHING`, story.URI); err != nil {
		return story, "", err
	}
	h, err := lockHead(ctx, c, story.URI)
	if err != nil {
		return story, "", err
	}
	prior, err := s.prior(ctx, c, story.URI, h)
	if err != nil {
		return story, "", err
	}
	known, result, err := place(ctx, c, &story, prior.Latest)
	switch {
	case err != nil:
		return story, "", err
	case result == news.StoryDuplicate:
		return *known, result, nil
	case result == news.StoryConflict:
		return story, result, s.keepConflict(ctx, c, story, *known)
	case result == news.StoryOlder:
		return story, result, nil
	}
	effects, err := s.decided(ctx, c, prior, decide)
	if err != nil {
		return story, "", err
	}
	if err := s.applyEffects(ctx, c, story, &h, effects); err != nil {
		return story, "", err
	}
	return s.insertStory(ctx, c, story, h)
}

// decided asks what follows. When something is to be released by itself, it is
// asked once more, with what the newsroom's cap leaves of that level: stories
// that release nothing wait for no release.
func (s *Store) decided(ctx context.Context, c conn, prior news.StoryPrior,
	decide func(news.StoryPrior) (news.StoryEffects, error),
) (news.StoryEffects, error) {
	effects, err := decide(prior)
	if err != nil || effects.Draft == nil || effects.Draft.ReleasedAt.IsZero() {
		return effects, verdictOf(err)
	}
	room, err := s.lockRoom(ctx, c, effects.Draft.Level)
	if err != nil {
		return news.StoryEffects{}, err
	}
	prior.Room = &room
	effects, err = decide(prior)
	return effects, verdictOf(err)
}

// prior is what is known before the event.
func (s *Store) prior(ctx context.Context, c conn, uri string, h head) (news.StoryPrior, error) {
	var p news.StoryPrior
	if h.Latest > 0 {
		latest, err := newestStory(ctx, c, uri)
		if err != nil {
			return p, err
		}
		p.Latest = &latest
	}
	var err error
	p.Alerts, err = alertsWhere(ctx, c, "story_uri = ?", 0, uri)
	return p, err
}

// place says where an event belongs among the known versions, and gives a
// version to one that has none. known is the stored version it meets.
func place(ctx context.Context, c conn, story *news.Story, latest *news.Story) (*news.Story, news.StoryResult, error) {
	if story.Version == 0 {
		return placeByTime(story, latest)
	}
	var r storyRow
	err := c.get(ctx, &r, "SELECT "+storyColumns+" FROM stories WHERE uri = ? AND version = ?", story.URI, story.Version)
	switch {
	case err == nil && r.Hash == story.Hash:
		known := r.story()
		return &known, news.StoryDuplicate, nil
	case err == nil:
		known := r.story()
		return &known, news.StoryConflict, nil
	case !errors.Is(err, sql.ErrNoRows):
		return nil, "", err
	case latest != nil && story.Version < latest.Version:
		return nil, news.StoryOlder, nil
	}
	return nil, news.StoryStored, nil
}

// placeByTime: without a version, a later creation is the next version. The
// same instant with other content can't be told apart from the newest: that
// is a conflict, which the desk sees, and not silently older.
func placeByTime(story *news.Story, latest *news.Story) (*news.Story, news.StoryResult, error) {
	if latest == nil {
		story.Version = 1
		return nil, news.StoryStored, nil
	}
	created := micro(story.Created)
	story.Version = latest.Version
	switch {
	case created.After(latest.Created):
		story.Version++
		return nil, news.StoryStored, nil
	case created.Before(latest.Created):
		return nil, news.StoryOlder, nil
	case story.Hash == latest.Hash:
		return latest, news.StoryDuplicate, nil
	}
	return latest, news.StoryConflict, nil
}

// insertStory stores the version and moves the head. The clock row is locked
// last and for the shortest time: StoredAt grows in the order of commits.
func (s *Store) insertStory(ctx context.Context, c conn, story news.Story, h head) (news.Story, news.StoryResult, error) {
	if err := c.exec(ctx, "UPDATE story_heads SET latest = ?, revision = ? WHERE uri = ?",
		story.Version, h.Revision, story.URI); err != nil {
		return story, "", err
	}
	var last stamp
	if err := c.get(ctx, &last, "SELECT last_at FROM story_clock WHERE id = 1"+c.d.forUpdate); err != nil {
		return story, "", err
	}
	story.StoredAt = s.now()
	if !story.StoredAt.After(last.Time) {
		story.StoredAt = last.Add(time.Microsecond)
	}
	if err := c.exec(ctx, "UPDATE story_clock SET last_at = ? WHERE id = 1", story.StoredAt); err != nil {
		return story, "", err
	}
	row := storyRowOf(story)
	return row.story(), news.StoryStored, c.insert(ctx, "stories", storyColumns, row, "")
}

// applyEffects writes what follows from a story; h.Revision moves along.
func (s *Store) applyEffects(ctx context.Context, c conn, story news.Story, h *head, e news.StoryEffects) error {
	if e.Draft == nil && e.Release != nil {
		return errors.New("effects with a release need its draft")
	}
	for _, change := range e.Changes {
		if change.Alert.StoryURI != story.URI {
			return fmt.Errorf("effects change alert %s of another story", change.Alert.ID)
		}
		a := change.Alert
		if err := s.applyAction(ctx, c, h, &a, change.Action); err != nil {
			return err
		}
	}
	if e.Draft == nil {
		return nil
	}
	draft := *e.Draft
	if draft.StoryVersion == 0 {
		draft.StoryVersion = story.Version
	}
	if err := insertAlert(ctx, c, draft); err != nil {
		return err
	}
	audit := news.AuditEntry{By: draft.Author, Action: "draft", Subject: "alert/" + draft.ID, Detail: news.RecordOf("draft", draft.Reason, &draft, nil).String()}
	if err := s.audit(ctx, c, audit); err != nil {
		return err
	}
	if e.Release == nil {
		return nil
	}
	return s.applyAction(ctx, c, h, &draft, news.AlertAction{Release: e.Release, Audit: "send", By: draft.Author})
}
