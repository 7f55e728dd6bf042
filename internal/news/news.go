// Package news is the vocabulary of the house: stories, levels, readers'
// wishes, devices, alerts, releases, the ledger, receipts and the kinds of
// error. It holds values and pure rules only: no I/O, no clock, no wire or
// row tags. Everybody may import it; it imports nothing of its own.
package news

import (
	"fmt"
	"strings"
)

// Level is how loudly an alert may speak. Higher is louder.
type Level uint8

// The levels, lowest first. The zero Level is "none" and never stored.
const (
	LevelNotice   Level = 1 // a new story in a followed region
	LevelBulletin Level = 2 // breaking
	LevelFlash    Level = 3 // wake people
)

// Levels lists every level, lowest first.
func Levels() []Level { return []Level{LevelNotice, LevelBulletin, LevelFlash} }

func (l Level) String() string {
	switch l {
	case LevelNotice:
		return "notice"
	case LevelBulletin:
		return "bulletin"
	case LevelFlash:
		return "flash"
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// ParseLevel reads "flash", "bulletin" or "notice".
func ParseLevel(s string) (Level, error) {
	for _, l := range Levels() {
		if s == l.String() {
			return l, nil
		}
	}
	return 0, Invalid("level", "must be flash, bulletin or notice, not %q", s)
}

// Sections lists the sections a story may be filed under and a reader may
// choose, with the IPTC Media Topic each is mapped to (medtop codes,
// cv.iptc.org/newscodes/mediatopic).
func Sections() []Section {
	return []Section{
		{"politics", "11000000"},
		{"business", "04000000"},
		{"technology", "13010000"},
		{"culture", "01000000"},
		{"world", "16000000"},
		{"society", "14000000"},
		{"science", "13000000"},
		{"sport", "15000000"},
		{"weather", "17000000"},
		{"health", "07000000"},
		{"environment", "06000000"},
		{"disaster", "03000000"},
		{"crime", "02000000"},
		{"education", "05000000"},
		{"labour", "09000000"},
		{"lifestyle", "10000000"},
		{"religion", "12000000"},
	}
}

// Section is one newsroom section and its IPTC Media Topic code.
type Section struct {
	Name       string
	MediaTopic string
}

// IsSection reports whether s is a known section name.
func IsSection(s string) bool {
	for _, sec := range Sections() {
		if sec.Name == s {
			return true
		}
	}
	return false
}

// Kinds of story a publisher marks in a digest.
func Kinds() []string { return []string{"article", "analysis", "interview", "photo", "video"} }

// SectionsOverlap is the section rule of DESIGN 7: it holds when the reader
// chose all (empty), the story has none (empty), or one is shared.
func SectionsOverlap(reader, story []string) bool {
	if len(reader) == 0 || len(story) == 0 {
		return true
	}
	for _, s := range story {
		for _, r := range reader {
			if strings.EqualFold(r, s) {
				return true
			}
		}
	}
	return false
}
