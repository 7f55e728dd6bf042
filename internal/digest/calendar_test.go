package digest

import (
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

func TestNewest(t *testing.T) {
	tests := []struct {
		name     string
		zone     string
		hour     int
		days     []int
		weekly   bool
		at       string
		want     string // "" none
		wantDate string
	}{
		{name: "on the hour", zone: "Asia/Tokyo", hour: 7, at: "2026-11-24T07:00:00+09:00", want: "2026-11-23T22:00:00Z", wantDate: "2026-11-24"},
		{name: "a second before", zone: "Asia/Tokyo", hour: 7, at: "2026-11-24T06:59:59+09:00", want: "2026-11-22T22:00:00Z", wantDate: "2026-11-23"},
		{name: "half-hour zone", zone: "Asia/Kolkata", hour: 6, at: "2026-11-24T00:40:00Z", want: "2026-11-24T00:30:00Z", wantDate: "2026-11-24"},
		{name: "45-minute zone", zone: "Asia/Kathmandu", hour: 0, at: "2026-11-23T18:15:00Z", want: "2026-11-23T18:15:00Z", wantDate: "2026-11-24"},
		{name: "only Mondays", zone: "Asia/Tokyo", hour: 7, days: []int{1}, at: "2026-11-27T12:00:00+09:00", want: "2026-11-22T22:00:00Z", wantDate: "2026-11-23"},
		{name: "Sundays are day 7", zone: "Asia/Tokyo", hour: 7, days: []int{7}, at: "2026-11-27T12:00:00+09:00", want: "2026-11-21T22:00:00Z", wantDate: "2026-11-22"},
		{name: "weekly is Saturday", zone: "Asia/Tokyo", hour: 7, days: []int{1}, weekly: true, at: "2026-11-27T12:00:00+09:00", want: "2026-11-20T22:00:00Z", wantDate: "2026-11-21"},
		{name: "weekly, Saturday before the hour", zone: "Asia/Tokyo", hour: 7, weekly: true, at: "2026-11-28T06:00:00+09:00", want: "2026-11-20T22:00:00Z", wantDate: "2026-11-21"},
		{name: "no day at all", zone: "Asia/Tokyo", hour: 7, days: []int{8}, at: "2026-11-27T12:00:00+09:00"},
		// New York, 8 March 2026, 23 h: 02:00 does not come; the clocks jump at 07:00 UTC.
		{name: "T67 skipped hour", zone: "America/New_York", hour: 2, at: "2026-03-08T12:00:00Z", want: "2026-03-08T07:00:00Z", wantDate: "2026-03-08"},
		{name: "T67 after the skipped hour", zone: "America/New_York", hour: 3, at: "2026-03-08T12:00:00Z", want: "2026-03-08T07:00:00Z", wantDate: "2026-03-08"},
		{name: "T67 before the skipped hour", zone: "America/New_York", hour: 2, at: "2026-03-08T06:59:59Z", want: "2026-03-07T07:00:00Z", wantDate: "2026-03-07"},
		// 1 November 2026, 25 h: 01:00 comes twice, at 05:00 and 06:00 UTC.
		{name: "T67 hour that comes twice", zone: "America/New_York", hour: 1, at: "2026-11-01T05:30:00Z", want: "2026-11-01T05:00:00Z", wantDate: "2026-11-01"},
		{name: "T67 its second coming", zone: "America/New_York", hour: 1, at: "2026-11-01T06:30:00Z", want: "2026-11-01T05:00:00Z", wantDate: "2026-11-01"},
		// Beirut sets its clocks at midnight: 00:00 on 29 March 2026 does not come.
		{name: "T67 midnight is skipped", zone: "Asia/Beirut", hour: 0, at: "2026-03-29T12:00:00Z", want: "2026-03-28T22:00:00Z", wantDate: "2026-03-29"},
		// Lord Howe moves by half an hour: 02:00 on 4 October 2026 becomes 02:30.
		{name: "T67 half an hour is skipped", zone: "Australia/Lord_Howe", hour: 2, at: "2026-10-04T12:00:00Z", want: "2026-10-03T15:30:00Z", wantDate: "2026-10-04"},
		// Samoa had no 30 December 2011.
		{name: "T67 a date that never was", zone: "Pacific/Apia", hour: 7, at: "2011-12-30T16:00:00Z", want: "2011-12-29T17:00:00Z", wantDate: "2011-12-29"},
		{name: "T67 and the date after it", zone: "Pacific/Apia", hour: 7, at: "2011-12-30T17:00:00Z", want: "2011-12-30T17:00:00Z", wantDate: "2011-12-31"},
	}
	for _, test := range tests {
		s := Schedule{Zone: zone(t, test.zone), Hour: test.hour, Days: test.days, Weekly: test.weekly}
		got, ok := s.Newest(instant(t, test.at))
		if ok != (test.want != "") {
			t.Errorf("%s: found %t", test.name, ok)
			continue
		}
		if ok && (!got.At.Equal(instant(t, test.want)) || got.LocalDate != test.wantDate) {
			t.Errorf("%s: %s on %s, want %s on %s", test.name, got.At.Format(time.RFC3339), got.LocalDate, test.want, test.wantDate)
		}
	}
}

// T67: whatever the zone, hour and day, walking through time meets exactly one
// edition per local date that exists, each inside its own date, in order.
func TestT67OneEditionPerLocalDate(t *testing.T) {
	zones := []string{"Asia/Tokyo", "Asia/Beirut", "Asia/Amman", "Asia/Tehran", "Asia/Gaza", "America/New_York", "Europe/Prague",
		"Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "America/Santiago", "Asia/Kathmandu", "Pacific/Kiritimati"}
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		s := Schedule{Zone: loc, Hour: rapid.IntRange(0, 23).Draw(t, "hour")}
		start := time.Date(rapid.IntRange(2008, 2030).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC)
		dates := map[string]time.Time{}
		last := Edition{}
		for at := start; at.Before(start.AddDate(0, 0, 35)); at = at.Add(15 * time.Minute) {
			e, ok := s.Newest(at)
			if !ok {
				t.Fatalf("no edition at %s", at)
			}
			if known, seen := dates[e.LocalDate]; seen && !known.Equal(e.At) {
				t.Fatalf("two editions on %s: %s and %s", e.LocalDate, known, e.At)
			}
			if e.LocalDate < last.LocalDate || e.At.After(at) {
				t.Fatalf("at %s: %+v after %+v", at, e, last)
			}
			if got := e.At.In(loc).Format(dateFormat); got != e.LocalDate {
				t.Fatalf("the edition of %s is on %s", e.LocalDate, got)
			}
			dates[e.LocalDate], last = e.At, e
		}
		// Every local date between that exists (has a noon) has its edition.
		for day := start.AddDate(0, 0, 2); day.Before(start.AddDate(0, 0, 33)); day = day.AddDate(0, 0, 1) {
			date := day.Format(dateFormat)
			noon, err := time.ParseInLocation(dateFormat+" 15", date+" 12", loc)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := dates[date]; !ok && noon.Format(dateFormat) == date {
				t.Fatalf("no edition on %s in %s at %d", date, loc, s.Hour)
			}
		}
	})
}

func TestOldest(t *testing.T) {
	e := Edition{At: instant(t, "2026-11-24T07:00:00Z")}
	for name, test := range map[string]struct {
		edition Edition
		now     string
		want    string
	}{
		"in time":            {e, "2026-11-24T07:00:00Z", "2026-11-22T19:00:00Z"},
		"late":               {e, "2026-11-24T19:00:00Z", "2026-11-22T19:00:00Z"},
		"before its hour":    {e, "2026-11-23T07:00:00Z", "2026-11-21T19:00:00Z"},
		"weekly, eight days": {Edition{At: e.At, Weekly: true}, "2026-11-24T07:00:00Z", "2026-11-16T07:00:00Z"},
	} {
		if got := test.edition.Oldest(instant(t, test.now)); !got.Equal(instant(t, test.want)) {
			t.Errorf("%s: %s, want %s", name, got.Format(time.RFC3339), test.want)
		}
	}
}
