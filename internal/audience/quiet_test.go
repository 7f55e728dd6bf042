package audience_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
)

func TestQuietUntil(t *testing.T) {
	night := news.Quiet{From: 22 * 60, To: 7 * 60, Flash: true}
	tests := []struct {
		name, zone string
		quiet      news.Quiet
		now        string // local wall clock with offset
		until      string // "" : not quiet
	}{
		{"an ordinary night", "Asia/Tokyo", night, "2026-11-23T23:30:00+09:00", "2026-11-24T07:00:00+09:00"},
		{"after midnight", "Asia/Tokyo", night, "2026-11-24T00:00:00+09:00", "2026-11-24T07:00:00+09:00"},
		{"begins", "Asia/Tokyo", night, "2026-11-23T22:00:00+09:00", "2026-11-24T07:00:00+09:00"},
		{"a second before", "Asia/Tokyo", night, "2026-11-23T21:59:59+09:00", ""},
		{"ends", "Asia/Tokyo", night, "2026-11-24T07:00:00+09:00", ""},
		{"the last second", "Asia/Tokyo", night, "2026-11-24T06:59:59+09:00", "2026-11-24T07:00:00+09:00"},
		{"a nap", "Asia/Kolkata", news.Quiet{From: 13 * 60, To: 14*60 + 30}, "2026-11-23T13:10:20+05:30", "2026-11-23T14:30:00+05:30"},
		{"none", "Asia/Kolkata", news.Quiet{From: 600, To: 600}, "2026-11-23T10:00:00+05:30", ""},
		{"quarter-hour zone", "Asia/Kathmandu", night, "2026-11-23T22:10:00+05:45", "2026-11-24T07:00:00+05:45"},
		{"half-hour zone, no summer time any more", "Asia/Tehran", night, "2026-03-22T02:00:00+03:30", "2026-03-22T07:00:00+03:30"},
		{"the 23 h day ends the night an hour early", "America/New_York", night, "2026-03-07T23:00:00-05:00", "2026-03-08T07:00:00-04:00"},
		{"the 25 h day makes it an hour longer", "America/New_York", night, "2026-10-31T23:00:00-04:00", "2026-11-01T07:00:00-05:00"},
		{"the end is jumped over", "America/New_York", news.Quiet{From: 60, To: 2*60 + 30}, "2026-03-08T01:30:00-05:00", "2026-03-08T03:00:00-04:00"},
		{"the beginning is jumped over", "America/New_York", news.Quiet{From: 2*60 + 30, To: 4 * 60}, "2026-03-08T03:00:00-04:00", "2026-03-08T04:00:00-04:00"},
		{"the hour that comes twice, first time", "America/New_York", news.Quiet{From: 60, To: 90}, "2026-11-01T01:10:00-04:00", "2026-11-01T01:30:00-04:00"},
		{"between its two times", "America/New_York", news.Quiet{From: 60, To: 90}, "2026-11-01T01:40:00-04:00", ""},
		{"second time", "America/New_York", news.Quiet{From: 60, To: 90}, "2026-11-01T01:10:00-05:00", "2026-11-01T01:30:00-05:00"},
		{"set back into them just before the end", "America/New_York", news.Quiet{From: 60, To: 120}, "2026-11-01T01:10:00-04:00", "2026-11-01T02:00:00-05:00"},
		{"half an hour forward", "Australia/Lord_Howe", night, "2026-10-03T23:00:00+10:30", "2026-10-04T07:00:00+11:00"},
		{"half an hour back", "Australia/Lord_Howe", night, "2026-04-04T23:00:00+11:00", "2026-04-05T07:00:00+10:30"},
		{"a day that never was", "Pacific/Apia", night, "2011-12-29T23:00:00-10:00", "2011-12-31T07:00:00+14:00"},
		{"an unknown zone is UTC", "Moon/Base", night, "2026-11-23T23:00:00Z", "2026-11-24T07:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := mustTime(t, tt.now)
			until, quiet := audience.QuietUntil(news.Wishes{Timezone: tt.zone, Quiet: &tt.quiet}, now)
			if quiet != (tt.until != "") {
				t.Fatalf("quiet = %v, until %s", quiet, until)
			}
			if quiet && !until.Equal(mustTime(t, tt.until)) {
				t.Errorf("until %s, want %s", until.In(now.Location()), tt.until)
			}
		})
	}
}

func mustTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestQuietHoursOfLongAndShortDays: how long an alert of 22:00 waits for 07:00
// on the nights on which clocks change.
func TestQuietHoursOfLongAndShortDays(t *testing.T) {
	for _, tt := range []struct {
		zone  string
		date  time.Time
		hours float64
	}{
		{"America/New_York", time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC), 8},
		{"America/New_York", time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC), 10},
		{"Asia/Jerusalem", time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC), 8},
		{"Asia/Jerusalem", time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC), 10},
		{"Australia/Lord_Howe", time.Date(2026, 10, 3, 0, 0, 0, 0, time.UTC), 8.5},
		{"Australia/Lord_Howe", time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC), 9.5},
		{"Asia/Tehran", time.Date(2022, 3, 21, 0, 0, 0, 0, time.UTC), 8},
		{"Asia/Tehran", time.Date(2026, 3, 21, 0, 0, 0, 0, time.UTC), 9},
		{"Asia/Kathmandu", time.Date(2026, 3, 21, 0, 0, 0, 0, time.UTC), 9},
	} {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		evening := time.Date(tt.date.Year(), tt.date.Month(), tt.date.Day(), 22, 0, 0, 0, zone)
		until, _ := audience.QuietUntil(news.Wishes{Timezone: tt.zone, Quiet: &news.Quiet{From: 22 * 60, To: 7 * 60}}, evening)
		if got := until.Sub(evening).Hours(); got != tt.hours {
			t.Errorf("%s, night of %s: %v h, want %v", tt.zone, tt.date.Format(time.DateOnly), got, tt.hours)
		}
	}
}

// TestQuietUntilProperty holds it against a look at the clock every minute.
func TestQuietUntilProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := genNow().Draw(t, "now")
		w := genWishes(now).Draw(t, "wishes")
		until, quiet := audience.QuietUntil(w, now)
		wantUntil, want := slowQuiet(w, now)
		if quiet != want || !until.Equal(wantUntil) {
			t.Fatalf("QuietUntil = %s, %v; want %s, %v", until, quiet, wantUntil, want)
		}
	})
}

// A million sleepers are asked for in a morning: their zone is not read anew.
func TestAsleepReadsNoZone(t *testing.T) {
	c := audience.New().Cell(3)
	c.Put(news.Device{Cell: 3, Number: 7, State: news.DeviceActive, Wishes: news.Wishes{Timezone: "Asia/Tokyo",
		Quiet: &news.Quiet{From: 22 * 60, To: 7 * 60}}})
	night := time.Date(2024, 2, 6, 18, 0, 0, 0, time.UTC)
	until, quiet := c.Asleep(7, night)
	if want := time.Date(2024, 2, 6, 22, 0, 0, 0, time.UTC); !quiet || !until.Equal(want) {
		t.Errorf("asleep %t until %s, want until %s", quiet, until, want)
	}
	if _, quiet := c.Asleep(7, until); quiet {
		t.Error("asleep after the end of her quiet hours")
	}
	if _, quiet := c.Asleep(8, night); quiet {
		t.Error("a device that does not exist is asleep")
	}
	if n := testing.AllocsPerRun(100, func() { c.Asleep(7, night) }); n > 0 {
		t.Errorf("%.0f allocations a device", n)
	}
}
