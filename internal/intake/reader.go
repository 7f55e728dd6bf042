package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"dateline/internal/news"
	"dateline/internal/region"
)

const (
	// maxAhead is how far a story may be dated ahead: clocks differ.
	maxAhead = 5 * time.Minute
	// maxEmbargo is how long an embargo may last; a longer one is a typing error.
	maxEmbargo = 366 * 24 * time.Hour
)

// earliest is the oldest date a version may have. Nothing was put on line
// before; 1970 is a clock that was never set (T10).
func earliest() time.Time { return time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) }

// reader reads one story out of decoded JSON that the schema has passed, and
// collects what the schema cannot know. It reads the decoded object by exact
// names: encoding/json would also take HEADLINE, which the schema has not seen.
type reader struct {
	decoder  *Decoder
	now      time.Time
	problems news.Problems
}

func (r *reader) story(o map[string]any) news.Story {
	s := news.Story{
		URI:        r.uri(text(o, "uri")),
		Version:    r.whole("version", o["version"], 0),
		Status:     news.PubStatus(orDefault(text(o, "pubstatus"), string(news.Usable))),
		Headline:   r.needed("headline", text(o, "headline")),
		Standfirst: r.line("standfirst", text(o, "standfirst")),
		Body:       r.paragraphs(list(o, "body")),
		URL:        r.storyLink("url", text(o, "url")),
		Image:      r.image(o["image"]),
		Kind:       orDefault(text(o, "kind"), "article"),
		Byline:     r.line("byline", text(o, "byline")),
		Language:   r.language("language", orDefault(text(o, "language"), "en")),
		Regions:    r.regions(list(o, "regions")),
		Sections:   r.sections(list(o, "sections")),
		Urgency:    int(r.whole("urgency", o["urgency"], 5)),
		Breaking:   o["breaking"] == true,
		Created:    r.created(text(o, "versioncreated")),
		Embargo:    r.embargo(text(o, "embargoed")),
	}
	s.Translations = r.translations(s.Language, o["translations"])
	return s
}

func text(o map[string]any, name string) string {
	s, _ := o[name].(string)
	return s
}

func list(o map[string]any, name string) []any {
	l, _ := o[name].([]any)
	return l
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// whole reads a whole number, or a string of digits as ninjs has it. 1.0 and
// 1e0 are whole numbers, too.
func (r *reader) whole(path string, v any, otherwise int64) int64 {
	var digits string
	switch v := v.(type) {
	case nil:
		return otherwise
	case string:
		digits = v
	case json.Number:
		digits = v.String()
	}
	n, ok := new(big.Rat).SetString(digits)
	if !ok || !n.IsInt() || !n.Num().IsInt64() {
		r.problems.Add(path, "must be a whole number")
		return otherwise
	}
	return n.Num().Int64()
}

// uri is the story's name. It is kept as it is, so it may hold only what can
// be seen, and no scheme that a browser would run if it came into a link.
func (r *reader) uri(s string) string {
	s = norm.NFC.String(s)
	for _, c := range s {
		if !unicode.IsGraphic(c) || unicode.IsSpace(c) || news.Hidden(c) {
			r.problems.Add("uri", "contains the character %U, which can't be seen", c)
			return s
		}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || !u.IsAbs():
		r.problems.Add("uri", "must be an absolute URI, not %s", quote(s))
	case slices.Contains([]string{"javascript", "data", "vbscript", "file", "blob"}, u.Scheme):
		r.problems.Add("uri", "must not be a %s URI", u.Scheme)
	}
	return s
}

// line is one line of clean text.
func (r *reader) line(path, s string) string {
	s, err := clean(s)
	if err != nil {
		r.problems.Add(path, "%s", err.Error())
	}
	return s
}

// needed is a line that must have something to see.
func (r *reader) needed(path, s string) string {
	before := len(r.problems)
	s = r.line(path, s)
	if len(r.problems) == before && !news.Visible(s) {
		r.problems.Add(path, "has no text once markup and invisible characters are taken out")
	}
	return s
}

func (r *reader) paragraphs(in []any) []string {
	var out []string
	for i, v := range in {
		s, _ := v.(string)
		if s = r.line(fmt.Sprintf("body/%d", i), s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (r *reader) image(v any) *news.Image {
	o, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	return &news.Image{
		URL: r.link("image/url", text(o, "url")), Alt: r.line("image/alt", text(o, "alt")),
		Width: int(r.whole("image/width", o["width"], 0)), Height: int(r.whole("image/height", o["height"], 0)),
	}
}

// language is the canonical spelling of a BCP 47 tag.
func (r *reader) language(path, s string) string {
	tag, err := language.Parse(s)
	if err != nil || tag == language.Und {
		r.problems.Add(path, "must be a BCP 47 language tag such as en, zh-Hant or pt-BR, not %s", quote(s))
		return s
	}
	return tag.String()
}

func (r *reader) regions(in []any) []string {
	var out []string
	for i, v := range in {
		typed, _ := v.(string)
		code, ok := region.Canonical(typed)
		if !ok {
			hint := "write a UN M.49 area (035), a country (JP), a subdivision (JP-13) or a group (ASEAN)"
			if better := region.Replacement(code); better != "" {
				hint = "write " + better
			}
			r.problems.Add(fmt.Sprintf("regions/%d", i), "%s is not a known region; %s", quote(typed), hint)
			continue
		}
		if !slices.Contains(out, code) {
			out = append(out, code)
		}
	}
	return out
}

func (r *reader) sections(in []any) []string {
	var out []string
	for i, v := range in {
		s, _ := v.(string)
		if !news.IsSection(s) {
			r.problems.Add(fmt.Sprintf("sections/%d", i), "%s is not a known section", quote(s))
			continue
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (r *reader) instant(path, s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	if err != nil {
		r.problems.Add(path, "must be an RFC 3339 time such as 2024-05-06T01:30:00Z, not %s", quote(s))
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

func (r *reader) created(s string) time.Time {
	before := len(r.problems)
	t := r.instant("versioncreated", s)
	switch {
	case len(r.problems) > before:
	case t.Before(earliest()):
		r.problems.Add("versioncreated", "is %s: before there was anything on line; is the sender's clock set?", t.Format(time.RFC3339))
	case t.After(r.now.Add(maxAhead)):
		r.problems.Add("versioncreated", "is %s: more than 5 minutes ahead of our clock, which says %s",
			t.Format(time.RFC3339), r.now.UTC().Format(time.RFC3339))
	}
	return t
}

func (r *reader) embargo(s string) time.Time {
	t := r.instant("embargoed", s)
	if t.After(r.now.Add(maxEmbargo)) {
		r.problems.Add("embargoed", "is %s: more than a year ahead", t.Format(time.RFC3339))
	}
	return t
}

// translations reads the heads in other languages; one in the story's own
// language says nothing new and is left out.
func (r *reader) translations(own string, v any) map[string]news.StoryText {
	o, ok := v.(map[string]any)
	if !ok || len(o) == 0 {
		return nil
	}
	out := map[string]news.StoryText{}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		path := "translations/" + pathStep(key)
		before := len(r.problems)
		tag := r.language(path, key)
		if _, twice := out[tag]; twice {
			r.problems.Add(path, "names the same language as another translation")
		}
		t, _ := o[key].(map[string]any)
		words := news.StoryText{Headline: r.needed(path+"/headline", text(t, "headline")), Standfirst: r.line(path+"/standfirst", text(t, "standfirst"))}
		if len(r.problems) == before && tag != own {
			out[tag] = words
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// contentHash names the content of a story: everything but its version, so
// that an event without one is recognised when it comes again.
func contentHash(s *news.Story) string {
	c := *s
	c.Version, c.Hash, c.StoredAt = 0, "", time.Time{}
	raw, err := json.Marshal(c) // maps are written in the order of their keys
	if err != nil {             // strings, numbers and valid times only: cannot happen
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
