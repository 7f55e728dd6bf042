package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/news"
)

// devicePlace is where a subscriber's device is.
type devicePlace struct {
	Subscriber string `db:"subscriber_id"`
	Cell       int    `db:"cell"`
	Number     int64  `db:"number"`
}

// PushedTo lists, by subscriber, the stories of which a release made at or
// after since reached one of her devices or may have: accepted, ambiguous, or
// opened without an answer. A story is listed once, with its newest release
// that did.
func (s *Store) PushedTo(ctx context.Context, subscriberIDs []string, since time.Time) (map[string][]news.Pushed, error) {
	out := map[string][]news.Pushed{}
	releases, err := s.ReleasesSince(ctx, since)
	if err != nil || len(releases) == 0 || len(subscriberIDs) == 0 {
		return out, err
	}
	places, err := s.placesOf(ctx, subscriberIDs)
	if err != nil {
		return nil, s.fail(err, "PushedTo", "")
	}
	if len(places) == 0 {
		return out, nil
	}
	for _, r := range releases {
		if err := s.addReached(ctx, r, places, out); err != nil {
			return nil, s.fail(err, "PushedTo", r.ID)
		}
	}
	for id := range out {
		slices.SortFunc(out[id], func(a, b news.Pushed) int { return strings.Compare(a.StoryURI, b.StoryURI) })
	}
	return out, nil
}

// placesOf groups the subscribers' devices by cell.
func (s *Store) placesOf(ctx context.Context, subscriberIDs []string) (map[int][]devicePlace, error) {
	places := map[int][]devicePlace{}
	for _, chunk := range chunks(subscriberIDs, 1000) {
		var rows []devicePlace
		if err := s.read().selIn(ctx, &rows, "SELECT subscriber_id, cell, number FROM devices WHERE subscriber_id IN (?)",
			chunk); err != nil {
			return nil, err
		}
		for _, p := range rows {
			places[p.Cell] = append(places[p.Cell], p)
		}
	}
	return places, nil
}

// addReached notes whom one release reached. Releases come oldest first, so a
// newer one of the same story replaces the older.
func (s *Store) addReached(ctx context.Context, r news.Release, places map[int][]devicePlace, out map[string][]news.Pushed) error {
	rows, err := s.ledgerWhere(ctx, "release_id = ? AND cell IN (?)", r.ID, sortedKeys(places))
	if err != nil {
		return err
	}
	story := news.Pushed{StoryURI: r.StoryURI, AlertID: r.AlertID, Kind: r.Kind, Title: r.Texts[r.Language].Title,
		At: r.ReleasedAt, First: r.ReleasedAt}
	for _, row := range rows {
		var reached *roaring.Bitmap
		for _, p := range places[row.Cell] {
			if !row.Planned.Contains(uint32(p.Number)) {
				continue
			}
			if reached == nil {
				reached = row.Reached()
			}
			if reached.Contains(uint32(p.Number)) {
				out[p.Subscriber] = putPushed(out[p.Subscriber], story)
			}
		}
	}
	return nil
}

func putPushed(list []news.Pushed, p news.Pushed) []news.Pushed {
	for i := range list {
		if list[i].StoryURI == p.StoryURI {
			p.First = list[i].First
			list[i] = p
			return list
		}
	}
	return append(list, p)
}

// Repairs lists the corrections and kills released at or after since, the newest of
// each story.
func (s *Store) Repairs(ctx context.Context, since time.Time) ([]news.Repair, error) {
	releases, err := s.releases(ctx, "released_at >= ? AND kind IN ('correction', 'kill') ORDER BY released_at, id", micro(since))
	if err != nil {
		return nil, s.fail(err, "Repairs", since.String())
	}
	newest := map[string]news.Repair{}
	for _, r := range releases {
		newest[r.StoryURI] = news.Repair{StoryURI: r.StoryURI, AlertID: r.AlertID, Kind: r.Kind, At: r.ReleasedAt, Texts: r.Texts, Language: r.Language}
	}
	out := make([]news.Repair, 0, len(newest))
	for _, uri := range sortedKeys(newest) {
		out = append(out, newest[uri])
	}
	return out, nil
}

// Retracted lists the stories whose alert an editor or the newsroom's system
// killed, with the highest version that was there then: what is told of them
// must be newer. An alert of the story that was released after the killed one
// was raised makes it news again. Alerts raised before since are left out.
func (s *Store) Retracted(ctx context.Context, since time.Time) (map[string]int64, error) {
	var rows []struct {
		URI     string `db:"uri"`
		Version int64  `db:"version"`
	}
	err := s.read().sel(ctx, &rows, `SELECT s.uri, MAX(s.version) AS version FROM alerts a JOIN stories s ON s.uri = a.story_uri
		LEFT JOIN releases k ON k.alert_id = a.id AND k.kind = ?
		WHERE a.state = ? AND a.created_at >= ? AND (s.version <= a.story_version OR s.stored_at <= k.released_at)
		AND NOT EXISTS (SELECT 1 FROM alerts b WHERE b.story_uri = a.story_uri AND b.created_at > a.created_at
			AND b.released_at IS NOT NULL AND b.state <> ?)
		GROUP BY s.uri`, string(news.ReleaseKill), string(news.AlertKilled), micro(since), string(news.AlertKilled))
	out := make(map[string]int64, len(rows))
	for _, r := range rows {
		out[r.URI] = r.Version
	}
	return out, s.fail(err, "Retracted", "")
}
