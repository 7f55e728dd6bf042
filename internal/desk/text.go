package desk

import (
	"encoding/json"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"dateline/internal/news"
)

const (
	// maxPlaintext is what a push payload may have before it is padded
	// (DESIGN 9).
	maxPlaintext = 1500
	// maxLanguages bounds an alert's texts: there are about 40 languages with
	// a national press in Asia.
	maxLanguages = 64
)

// cleanTexts cleans an editor's texts and says what is wrong with them. path
// is where they stand in the request.
func cleanTexts(path string, texts map[string]news.Text, room roomFor) (map[string]news.Text, news.Problems) {
	var faults news.Problems
	if len(texts) > maxLanguages {
		faults.Add(path, "has %d languages; at most %d", len(texts), maxLanguages)
		return nil, faults
	}
	clean := make(map[string]news.Text, len(texts))
	for _, key := range sortedKeys(texts) {
		at := path + "/" + key
		tag, err := language.Parse(key)
		if err != nil || tag == language.Und {
			faults.Add(at, "is not a language tag such as en, ja or zh-Hant")
			continue
		}
		if _, twice := clean[tag.String()]; twice {
			faults.Add(at, "names a language that stands here twice")
			continue
		}
		t := news.Text{Title: news.CleanLine(texts[key].Title), Body: news.CleanLine(texts[key].Body)}
		faults = append(faults, textFaults(at, t, room(tag.String()))...)
		clean[tag.String()] = t
	}
	return clean, faults
}

// textFaults are the faults of one language's text, given the bytes that title
// and body may have together.
func textFaults(at string, t news.Text, room int) news.Problems {
	var faults news.Problems
	title, body := jsonLen(t.Title), jsonLen(t.Body)
	const advice = "%d bytes too long: title and body may have %d bytes together (a Latin letter takes 1, a Chinese or Hindi character 3)"
	switch {
	case !news.Visible(t.Title):
		faults.Add(at+"/title", "is required")
	case title > room:
		faults.Add(at+"/title", advice, title+body-room, room)
	case title+body > room:
		faults.Add(at+"/body", advice, title+body-room, room)
	}
	return faults
}

// fit shortens a text to room: first the body, then the title.
func fit(t news.Text, room int) news.Text {
	t.Title = news.Cut(t.Title, news.MaxTitleCharacters, room-escapes(t.Title))
	t.Body = news.Cut(t.Body, news.MaxBodyCharacters, room-jsonLen(t.Title)-escapes(t.Body))
	return t
}

// escapes is what JSON adds to a string; a string that is cut has no more.
func escapes(s string) int { return jsonLen(s) - len(s) }

// roomFor says how many bytes title and body may have together in a language.
type roomFor func(language string) int

// room measures what the payload of an alert needs beside its text, counted
// generously: the longest level, every flag false, a revision of six digits,
// the longest receipt. The image is not counted: a payload that it does not
// fit into goes without.
func (d *Service) room(a *news.Alert, s *news.Story) roomFor {
	const frame = `{"web_push":8030,"mutable":false,"notification":{"title":"","body":"","navigate":"","lang":"","dir":"auto",` +
		`"tag":"0123456789abcdef0123456789abcdef","icon":"","timestamp":1700000000000,"silent":false,"renotify":false,` +
		`"requireInteraction":false,"mutable":false,"data":{"alert":"","revision":999999,"level":"bulletin","regions":[],"receipt":""}}}`
	const receipt, icon, spare = 96, len("/static/site/icon-192.0123456789abcdef.png"), 32
	fixed := len(frame) + receipt + icon + spare + len(d.baseURL) + len(a.ID) + jsonLen(d.navigate(a, s))
	const regions = 5 // a payload that is full names no more of them
	for _, r := range s.Regions[:min(len(s.Regions), regions)] {
		fixed += len(r) + len(`"",`)
	}
	return func(language string) int { return max(0, maxPlaintext-fixed-len(language)) }
}

// jsonLen is how long a string is inside a payload's JSON, which escapes
// quotation marks, backslashes and U+2028, not markup.
func jsonLen(s string) int {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always has a JSON form
		return len(s) * 6
	}
	return b.Len() - len(`""`) - len("\n")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
