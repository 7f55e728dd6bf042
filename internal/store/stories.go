package store

import (
	"context"
	"time"

	"dateline/internal/news"
)

const storyColumns = "uri, version, status, headline, standfirst, body, url, image, kind, byline, language, " +
	"regions, sections, urgency, breaking, created, embargo, translations, hash, stored_at"

type storyRow struct {
	URI          string                          `db:"uri"`
	Version      int64                           `db:"version"`
	Status       string                          `db:"status"`
	Headline     string                          `db:"headline"`
	Standfirst   string                          `db:"standfirst"`
	Body         document[[]string]              `db:"body"`
	URL          string                          `db:"url"`
	Image        document[*imageJSON]            `db:"image"`
	Kind         string                          `db:"kind"`
	Byline       string                          `db:"byline"`
	Language     string                          `db:"language"`
	Regions      document[[]string]              `db:"regions"`
	Sections     document[[]string]              `db:"sections"`
	Urgency      int                             `db:"urgency"`
	Breaking     bool                            `db:"breaking"`
	Created      stamp                           `db:"created"`
	Embargo      stamp                           `db:"embargo"`
	Translations document[map[string]storyTexts] `db:"translations"`
	Hash         string                          `db:"hash"`
	StoredAt     stamp                           `db:"stored_at"`
}

type imageJSON struct {
	URL    string `json:"url"`
	Alt    string `json:"alt,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}

type storyTexts struct {
	Headline   string `json:"headline"`
	Standfirst string `json:"standfirst,omitempty"`
}

func storyRowOf(s news.Story) storyRow {
	return storyRow{URI: s.URI, Version: s.Version, Status: string(s.Status), Headline: s.Headline,
		Standfirst: s.Standfirst, Body: doc(s.Body), URL: s.URL, Image: doc((*imageJSON)(s.Image)), Kind: s.Kind,
		Byline: s.Byline, Language: s.Language, Regions: doc(s.Regions), Sections: doc(s.Sections),
		Urgency: s.Urgency, Breaking: s.Breaking, Created: at(s.Created), Embargo: at(s.Embargo),
		Translations: doc(mapValues(s.Translations, func(t news.StoryText) storyTexts { return storyTexts(t) })),
		Hash:         s.Hash, StoredAt: at(s.StoredAt)}
}

func (r storyRow) story() news.Story {
	return news.Story{URI: r.URI, Version: r.Version, Status: news.PubStatus(r.Status), Headline: r.Headline,
		Standfirst: r.Standfirst, Body: r.Body.V, URL: r.URL, Image: (*news.Image)(r.Image.V), Kind: r.Kind,
		Byline: r.Byline, Language: r.Language, Regions: r.Regions.V, Sections: r.Sections.V,
		Urgency: r.Urgency, Breaking: r.Breaking, Created: r.Created.Time, Embargo: r.Embargo.Time,
		Translations: mapValues(r.Translations.V, func(t storyTexts) news.StoryText { return news.StoryText(t) }),
		Hash:         r.Hash, StoredAt: r.StoredAt.Time}
}

// mapValues converts a map's values; nil stays nil.
func mapValues[A, B any](m map[string]A, convert func(A) B) map[string]B {
	if m == nil {
		return nil
	}
	out := make(map[string]B, len(m))
	for k, v := range m {
		out[k] = convert(v)
	}
	return out
}

// newest is the join that leaves each story's newest version.
const newest = " FROM stories s JOIN story_heads h ON h.uri = s.uri AND h.latest = s.version "

// prefixed is "s.a, s.b" for "a, b".
func prefixed(alias, columns string) string {
	out := []byte(alias + ".")
	for i := range len(columns) {
		out = append(out, columns[i])
		if columns[i] == ' ' {
			out = append(out, alias...)
			out = append(out, '.')
		}
	}
	return string(out)
}

// Story is the newest version of a story.
func (s *Store) Story(ctx context.Context, uri string) (news.Story, error) {
	story, err := newestStory(ctx, s.read(), uri)
	return story, s.fail(err, "Story", uri)
}

func newestStory(ctx context.Context, c conn, uri string) (news.Story, error) {
	var r storyRow
	err := c.get(ctx, &r, "SELECT "+prefixed("s", storyColumns)+newest+"WHERE h.uri = ?", uri)
	return r.story(), err
}

// StoryVersion is one version of a story.
func (s *Store) StoryVersion(ctx context.Context, uri string, version int64) (news.Story, error) {
	var r storyRow
	err := s.read().get(ctx, &r, "SELECT "+storyColumns+" FROM stories WHERE uri = ? AND version = ?", uri, version)
	return r.story(), s.fail(err, "StoryVersion", uri)
}

// RecentStories lists newest versions, the latest created first. The filter
// looks at the newest version alone.
func (s *Store) RecentStories(ctx context.Context, f news.StoryFilter) ([]news.Story, error) {
	query, args := "SELECT "+prefixed("s", storyColumns)+newest+"WHERE 1 = 1", []any{}
	add := func(condition string, arg any) {
		query += " AND " + condition
		args = append(args, arg)
	}
	if !f.CreatedSince.IsZero() {
		add("s.created >= ?", micro(f.CreatedSince))
	}
	if !f.StoredAfter.IsZero() {
		add("s.stored_at > ?", micro(f.StoredAfter))
	}
	if !f.StoredUntil.IsZero() {
		add("s.stored_at <= ?", micro(f.StoredUntil))
	}
	if f.Status != "" {
		add("s.status = ?", string(f.Status))
	}
	if f.Limit <= 0 {
		f.Limit = 200
	}
	var rows []storyRow
	if err := s.read().sel(ctx, &rows, query+" ORDER BY s.created DESC, s.uri LIMIT ?", append(args, f.Limit)...); err != nil {
		return nil, s.fail(err, "RecentStories", "")
	}
	return convert(rows, storyRow.story), nil
}

// NewestStored lists newest versions, the latest stored first.
func (s *Store) NewestStored(ctx context.Context, limit int) ([]news.Story, error) {
	var rows []storyRow
	err := s.read().sel(ctx, &rows, "SELECT "+prefixed("s", storyColumns)+newest+"ORDER BY s.stored_at DESC LIMIT ?", limit)
	return convert(rows, storyRow.story), s.fail(err, "NewestStored", "")
}

// StoredSince lists every version stored after an instant, the first stored
// first. Times of storing grow in the order of commits: whoever asks from the
// last one she got misses none.
func (s *Store) StoredSince(ctx context.Context, after time.Time, limit int) ([]news.Story, error) {
	var rows []storyRow
	err := s.read().sel(ctx, &rows, "SELECT "+storyColumns+" FROM stories WHERE stored_at > ? ORDER BY stored_at LIMIT ?", micro(after), limit)
	return convert(rows, storyRow.story), s.fail(err, "StoredSince", "")
}

// convert maps rows to values.
func convert[A, B any](rows []A, f func(A) B) []B {
	out := make([]B, len(rows))
	for i, r := range rows {
		out[i] = f(r)
	}
	return out
}
