package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"dateline/internal/news"
)

const wishesColumns = "preference_id, language, only_language, timezone, quiet_from, quiet_to, quiet_flash, cap, " +
	"paused_until, muted_stories, over_stories"

// wishesRow is the part that subscribers and mailboxes share.
type wishesRow struct {
	PreferenceID string             `db:"preference_id"`
	Language     string             `db:"language"`
	OnlyLanguage bool               `db:"only_language"`
	Timezone     string             `db:"timezone"`
	QuietFrom    sql.NullInt64      `db:"quiet_from"`
	QuietTo      sql.NullInt64      `db:"quiet_to"`
	QuietFlash   sql.NullBool       `db:"quiet_flash"`
	Cap          int                `db:"cap"`
	PausedUntil  stamp              `db:"paused_until"`
	MutedStories document[[]string] `db:"muted_stories"`
	OverStories  document[[]string] `db:"over_stories"`
}

func wishesRowOf(w news.Wishes, preferenceID string) wishesRow {
	r := wishesRow{PreferenceID: preferenceID, Language: w.Language, OnlyLanguage: w.OnlyLanguage,
		Timezone: w.Timezone, Cap: w.Cap, PausedUntil: at(w.PausedUntil), MutedStories: doc(w.MutedStories),
		OverStories: doc(w.OverStories)}
	if w.Quiet != nil {
		r.QuietFrom = sql.NullInt64{Int64: int64(w.Quiet.From), Valid: true}
		r.QuietTo = sql.NullInt64{Int64: int64(w.Quiet.To), Valid: true}
		r.QuietFlash = sql.NullBool{Bool: w.Quiet.Flash, Valid: true}
	}
	return r
}

func (r wishesRow) wishes(p news.Preference) news.Wishes {
	w := news.Wishes{Preference: p, Language: r.Language, OnlyLanguage: r.OnlyLanguage, Timezone: r.Timezone,
		Cap: r.Cap, PausedUntil: r.PausedUntil.Time, MutedStories: r.MutedStories.V, OverStories: r.OverStories.V}
	if r.QuietFrom.Valid {
		w.Quiet = &news.Quiet{From: int(r.QuietFrom.Int64), To: int(r.QuietTo.Int64), Flash: r.QuietFlash.Bool}
	}
	return w
}

// preferenceJSON is the canonical form whose hash is the id: renaming a field
// would give equal preferences new ids.
type preferenceJSON struct {
	Regions   []string       `json:"regions"`
	Muted     []string       `json:"muted,omitempty"`
	Sections  []string       `json:"sections,omitempty"`
	Level     news.Level     `json:"level"`
	Overrides []overrideJSON `json:"overrides,omitempty"`
}

type overrideJSON struct {
	Regions []string   `json:"regions"`
	Level   news.Level `json:"level"`
}

// canonical sorts what has no order. The order of overrides stays: the first
// that fits may win.
func canonical(p news.Preference) news.Preference {
	out := news.Preference{Regions: sorted(p.Regions), Muted: sorted(p.Muted), Sections: sorted(p.Sections), Level: p.Level}
	for _, o := range p.Overrides {
		out.Overrides = append(out.Overrides, news.Override{Regions: sorted(o.Regions), Level: o.Level})
	}
	return out
}

// sorted is a sorted copy without doubles; nil for none.
func sorted(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// preference is one interned preference.
type preference struct {
	id   string
	body string
	news.Preference
}

func internForm(p news.Preference) (preference, error) {
	p = canonical(p)
	raw, err := json.Marshal(preferenceJSON{Regions: p.Regions, Muted: p.Muted, Sections: p.Sections, Level: p.Level,
		Overrides: convert(p.Overrides, func(o news.Override) overrideJSON { return overrideJSON(o) })})
	if err != nil {
		return preference{}, err
	}
	sum := sha256.Sum256(raw)
	return preference{id: hex.EncodeToString(sum[:16]), body: string(raw), Preference: p}, nil
}

func parsePreference(body string) (news.Preference, error) {
	var j preferenceJSON
	if err := json.Unmarshal([]byte(body), &j); err != nil {
		return news.Preference{}, err
	}
	p := news.Preference{Regions: j.Regions, Muted: j.Muted, Sections: j.Sections, Level: j.Level}
	for _, o := range j.Overrides {
		p.Overrides = append(p.Overrides, news.Override(o))
	}
	return p, nil
}

// intern stores a preference unless it is there, and names it.
func intern(ctx context.Context, c conn, s *Store, p news.Preference) (preference, error) {
	form, err := internForm(p)
	if err != nil {
		return form, err
	}
	return form, c.exec(ctx, "INSERT INTO preferences (id, body, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
		form.id, form.body, s.now())
}

// internChanged is intern, without a statement when it is still the known one.
func (s *Store) internChanged(ctx context.Context, c conn, p news.Preference, known string) (preference, error) {
	form, err := internForm(p)
	if err != nil || form.id == known {
		return form, err
	}
	return intern(ctx, c, s, p)
}

// preferenceCache keeps parsed preferences: they never change under their
// id. Their slices are shared by everybody who reads them.
type preferenceCache struct {
	mu    sync.RWMutex
	known map[string]news.Preference
}

// maxPreferences before the cache starts anew: about 50 MB.
const maxPreferences = 200_000

func newPreferenceCache() *preferenceCache {
	return &preferenceCache{known: map[string]news.Preference{}}
}

func (c *preferenceCache) get(id string) (news.Preference, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, ok := c.known[id]
	return p, ok
}

func (c *preferenceCache) put(id string, p news.Preference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxPreferences {
		clear(c.known)
	}
	c.known[id] = p
}

// preference reads one by id, from the cache when it is there. The result is
// shared: nobody may change its slices.
func (s *Store) preference(ctx context.Context, c conn, id string) (news.Preference, error) {
	if p, ok := s.prefs.get(id); ok {
		return p, nil
	}
	found, err := s.preferences(ctx, c, []string{id})
	return found[id], err
}

// errNoPreference: whoever names one keeps it there.
var errNoPreference = errors.New("preferences are missing")

// preferences reads some by id and caches them.
func (s *Store) preferences(ctx context.Context, c conn, ids []string) (map[string]news.Preference, error) {
	var rows []struct {
		ID   string `db:"id"`
		Body string `db:"body"`
	}
	if err := c.selIn(ctx, &rows, "SELECT id, body FROM preferences WHERE id IN (?)", ids); err != nil {
		return nil, err
	}
	out := make(map[string]news.Preference, len(rows))
	for _, r := range rows {
		p, err := parsePreference(r.Body)
		if err != nil {
			return nil, fmt.Errorf("preference %s: %w", r.ID, err)
		}
		s.prefs.put(r.ID, p)
		out[r.ID] = p
	}
	if len(out) != len(ids) {
		return nil, fmt.Errorf("%w: %d of %d", errNoPreference, len(ids)-len(out), len(ids))
	}
	return out, nil
}

// wishesJSON keeps the wishes of a sign-up that is not confirmed.
type wishesJSON struct {
	Preference   preferenceJSON `json:"preference"`
	Language     string         `json:"language"`
	OnlyLanguage bool           `json:"onlyLanguage,omitempty"`
	Timezone     string         `json:"timezone"`
	PausedUntil  stamp          `json:"pausedUntil"`
	MutedStories []string       `json:"mutedStories,omitempty"`
	OverStories  []string       `json:"overStories,omitempty"`
}

func wishesJSONOf(w news.Wishes) wishesJSON {
	p := canonical(w.Preference)
	return wishesJSON{Preference: preferenceJSON{Regions: p.Regions, Muted: p.Muted, Sections: p.Sections,
		Level: p.Level, Overrides: convert(p.Overrides, func(o news.Override) overrideJSON { return overrideJSON(o) })},
		Language: w.Language, OnlyLanguage: w.OnlyLanguage, Timezone: w.Timezone,
		PausedUntil: at(w.PausedUntil), MutedStories: w.MutedStories, OverStories: w.OverStories}
}

func (j wishesJSON) wishes() news.Wishes {
	p := news.Preference{Regions: j.Preference.Regions, Muted: j.Preference.Muted, Sections: j.Preference.Sections,
		Level: j.Preference.Level}
	for _, o := range j.Preference.Overrides {
		p.Overrides = append(p.Overrides, news.Override(o))
	}
	return news.Wishes{Preference: p, Language: j.Language, OnlyLanguage: j.OnlyLanguage, Timezone: j.Timezone,
		PausedUntil: j.PausedUntil.Time, MutedStories: j.MutedStories, OverStories: j.OverStories}
}
