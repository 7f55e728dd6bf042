package audience_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// TestRules says the rules by example. A reader is given as "regions [-mutes]
// level [place=level …]".
func TestRules(t *testing.T) {
	tests := []struct {
		reader string
		level  news.Level
		places string
		want   audience.Reason
	}{
		{"ID bulletin", news.LevelBulletin, "035", audience.Matched}, // a tsunami in South-eastern Asia
		{"ID notice", news.LevelNotice, "035", audience.NotFollowed}, // but not every story of it
		{"035 notice", news.LevelNotice, "ID-JK", audience.Matched},
		{"JP notice", news.LevelNotice, "JP", audience.Matched},
		{"JP-13 notice", news.LevelNotice, "JP", audience.NotFollowed},
		{"JP-13 notice", news.LevelNotice, "JP + JP-13", audience.Matched}, // one place suffices
		{"JP-13 bulletin", news.LevelBulletin, "JP", audience.Matched},
		{"JP-13 bulletin", news.LevelBulletin, "JP - JP-13", audience.NotFollowed},
		{"ASEAN bulletin", news.LevelBulletin, "TL", audience.Matched},
		{"TW bulletin", news.LevelBulletin, "ASEAN + TW - JP", audience.Matched},
		{"142 -JP bulletin", news.LevelBulletin, "JP", audience.MutedPlace},
		{"142 -JP bulletin", news.LevelBulletin, "JP + KR", audience.Matched},
		{"142 -JP notice", news.LevelNotice, "030", audience.MutedPlace},
		{"CN bulletin", news.LevelBulletin, "TW", audience.NotFollowed},

		{"JP flash", news.LevelBulletin, "JP", audience.Level},
		{"JP notice", news.LevelFlash, "JP", audience.Matched},

		{"142 flash JP=notice", news.LevelNotice, "JP-13", audience.Matched},
		{"142 flash JP=notice", news.LevelNotice, "030", audience.Level}, // more than Japan
		{"142 flash JP=notice", news.LevelBulletin, "KR", audience.Level},
		{"142 flash JP=notice", news.LevelBulletin, "030", audience.Matched}, // Japan is in it
		{"142 notice JP=flash", news.LevelBulletin, "JP", audience.Level},
		{"142 notice JP=flash", news.LevelBulletin, "JP + KR", audience.Matched}, // for Korea's sake
		{"142 notice JP=flash JP-13=bulletin", news.LevelBulletin, "JP", audience.Matched},
		{"JP notice KR=notice", news.LevelFlash, "KR", audience.NotFollowed}, // an override adds no places
		{"142 -KR flash 030=bulletin", news.LevelBulletin, "KR", audience.MutedPlace},
	}
	for _, tt := range tests {
		d := readerOf(t, tt.reader)
		q := bulletin(t, tt.places)
		q.Level = tt.level
		if got := audience.Judge(q, d, 0).Reason; got != tt.want {
			t.Errorf("%s about %s to %q: %s, want %s", tt.level, tt.places, tt.reader, got, tt.want)
		}
	}
}

func readerOf(t *testing.T, text string) news.Device {
	t.Helper()
	d := follower(1)
	p := &d.Wishes.Preference
	for _, word := range strings.Fields(text) {
		place, level, override := strings.Cut(word, "=")
		parsed, err := news.ParseLevel(level)
		switch general, notLevel := news.ParseLevel(word); {
		case override && err == nil:
			p.Overrides = append(p.Overrides, news.Override{Regions: []string{place}, Level: parsed})
		case notLevel == nil:
			p.Level = general
		case strings.HasPrefix(word, "-"):
			p.Muted = append(p.Muted, word[1:])
		default:
			p.Regions = append(p.Regions, word)
		}
	}
	return d
}

// TestFlashAndQuiet: who is woken, held or capped.
func TestFlashAndQuiet(t *testing.T) {
	q := bulletin(t, "JP") // 12:00 in Tokyo
	noon := func(flash bool) *news.Quiet { return &news.Quiet{From: 11 * 60, To: 13 * 60, Flash: flash} }
	one := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		level news.Level
		quiet *news.Quiet
		cap   int
		sent  int
		want  audience.Reason
		until time.Time
	}{
		{"bulletin in quiet hours", news.LevelBulletin, noon(true), 0, 0, audience.HeldQuiet, one},
		{"flash wakes", news.LevelFlash, noon(true), 1, 9, audience.Matched, time.Time{}},
		{"flash may not wake", news.LevelFlash, noon(false), 0, 0, audience.HeldQuiet, one},
		{"flash passes the cap", news.LevelFlash, nil, 1, 9, audience.Matched, time.Time{}},
		{"flash:false counts for the cap", news.LevelFlash, &news.Quiet{}, 1, 1, audience.Capped, time.Time{}},
		{"capped", news.LevelBulletin, nil, 3, 3, audience.Capped, time.Time{}},
		{"one left", news.LevelBulletin, nil, 3, 2, audience.Matched, time.Time{}},
		{"no cap", news.LevelBulletin, nil, 0, 99, audience.Matched, time.Time{}},
		{"held before capped: tomorrow is another day", news.LevelBulletin, noon(true), 1, 1, audience.HeldQuiet, one},
	} {
		d := follower(1, "JP")
		d.Wishes.Quiet, d.Wishes.Cap, q.Level = tt.quiet, tt.cap, tt.level
		got := audience.Judge(q, d, tt.sent)
		if got.Reason != tt.want || !got.HeldUntil.Equal(tt.until) {
			t.Errorf("%s: %s until %s, want %s until %s", tt.name, got.Reason, got.HeldUntil, tt.want, tt.until)
		}
	}
}

// TestRepairReachesWhoWasSent: a retraction reaches those who muted, paused or
// sleep by now; those who left get nothing.
func TestRepairReachesWhoWasSent(t *testing.T) {
	q := bulletin(t, "JP")
	q.Repair = true
	d := follower(1, "KR")
	d.Wishes.MutedStories, d.Wishes.PausedUntil = []string{story}, q.Now.Add(time.Hour)
	d.Wishes.Quiet, d.Wishes.Cap = &news.Quiet{From: 0, To: 24*60 - 1}, 1
	if got := audience.Judge(q, d, 5).Reason; got != audience.Matched {
		t.Errorf("repair: %s", got)
	}
	d.State = news.DeviceLeft
	if got := audience.Judge(q, d, 0).Reason; got != audience.Left {
		t.Errorf("repair to one who left: %s", got)
	}
}

func TestVerdictExplains(t *testing.T) {
	d := follower(1, "JP-13", "142", "KR", "GONE-1")
	d.Wishes.Language = "zh-TW"
	q := bulletin(t, "JP")
	q.Languages = []string{"en", "zh-Hans", "zh-Hant"}
	want := audience.Verdict{Reason: audience.Matched, Language: "zh-Hant", Via: []string{"JP-13", "142"}}
	if diff := cmp.Diff(want, audience.Judge(q, d, 0)); diff != "" {
		t.Errorf("Judge (-want +got):\n%s", diff)
	}
}

func TestNobodyIsReachedByNoAudience(t *testing.T) {
	if got := audience.Judge(audience.Query{Level: news.LevelFlash}, follower(1, "001"), 0).Reason; got != audience.NotFollowed {
		t.Errorf("the zero audience: %s", got)
	}
}
