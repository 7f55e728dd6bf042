package region_test

import (
	"testing"
	"time"

	"dateline/internal/region"
)

func TestDateline(t *testing.T) {
	at := time.Date(2024, 2, 6, 1, 30, 0, 0, time.UTC)
	for _, tt := range []struct{ code, lang, want string }{
		{"JP", "en", "TOKYO, 6 Feb, 10:30 JST —"},
		{"JP", "ja", "東京、2月6日 10:30 JST —"},
		{"JP", "zh-TW", "東京，2月6日 10:30 JST —"},
		{"KR", "ko", "서울, 2월 6일 10:30 KST —"},
		{"JP-23", "en", "NAGOYA, 6 Feb, 10:30 JST —"},
		{"JP-26", "en-GB", "KYOTO, 6 Feb, 10:30 JST —"},
		{"SG", "en", "SINGAPORE, 6 Feb, 09:30 SGT —"},
		{"NP", "en", "KATHMANDU, 6 Feb, 07:15 NPT —"},
		{"IN-MH", "en", "MUMBAI, 6 Feb, 07:00 IST —"},
		{"PH", "en", "MANILA, 6 Feb, 09:30 PHT —"},
		{"BD", "en", "DHAKA, 6 Feb, 07:30 UTC+6 —"},
		{"ID-BA", "id", "DENPASAR, 6 Feb, 09:30 WITA —"},
		{"ID-PA", "id", "JAYAPURA, 6 Feb, 10:30 WIT —"},
		{"US-CA", "en", "LOS ANGELES, 5 Feb, 17:30 PST —"},
		{"CV", "en", "PRAIA, 6 Feb, 00:30 UTC-1 —"},
		{"IR", "en", "TEHRAN, 6 Feb, 05:00 IRST —"},
		{"142", "en", "ASIA, 6 Feb, 01:30 UTC —"},
		{"142", "id", "ASIA, 6 Feb, 01:30 UTC —"},
		{"142", "vi", "CHÂU Á, 6 thg 2, 01:30 UTC —"},
		{"ASEAN", "en", "ASEAN, 6 Feb, 01:30 UTC —"},
		{"TH", "th", "ไทย 6 ก.พ. 08:30 ICT —"},
		{"AE", "ar", "أبوظبي، 6 فبراير، 05:30 GST —"},
		{"AE-DU", "ar", "DUBAI\u200f، 6 فبراير، 05:30 GST —"}, // a mark, or the day would stand before the place
		{"AE-DU", "en", "DUBAI, 6 Feb, 05:30 GST —"},
		{"RU-SA", "ru", "YAKUTSK, 6 февр., 10:30 UTC+9 —"},
		{"XX", "en", "XX, 6 Feb, 01:30 UTC —"},
		{"JP", "not a language", "TOKYO, 6 Feb, 10:30 JST —"},
	} {
		if got := region.Dateline(tt.code, at, tt.lang); got != tt.want {
			t.Errorf("Dateline(%s, %s) = %q, want %q", tt.code, tt.lang, got, tt.want)
		}
	}
	summer := time.Date(2021, 7, 6, 1, 30, 0, 0, time.UTC)
	if got, want := region.Dateline("IR", summer, "en"), "TEHRAN, 6 Jul, 06:00 UTC+4:30 —"; got != want {
		t.Errorf("Tehran's last summers: %q, want %q", got, want)
	}
}

// TestEveryZoneLoads, every country has a city, and areas have UTC.
func TestEveryZoneLoads(t *testing.T) {
	for p := range region.All() {
		zone := region.Zone(p.Code)
		if _, err := time.LoadLocation(zone); err != nil {
			t.Errorf("%s: %v", p.Code, err)
		}
		if (p.Kind == region.KindArea) != (zone == region.UTC) && p.Code != "BV" && p.Code != "HM" { // uninhabited
			t.Errorf("%s: zone %s", p.Code, zone)
		}
		if p.Kind == region.KindCountry && region.DatelineCity(p.Code) == "" {
			t.Errorf("%s has no city", p.Code)
		}
	}
}

// TestEveryAsianCapitalSaysItsTime: no dateline of Asia shows a bare "+08".
func TestEveryAsianCapitalSaysItsTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for p := range region.All() {
		if p.Kind != region.KindCountry || !region.Within(p.Code, "142") {
			continue
		}
		abbreviation := region.Abbreviation(now.In(region.Location(p.Code)))
		if abbreviation[0] == '+' || abbreviation[0] == '-' {
			t.Errorf("%s: %s", p.Code, abbreviation)
		}
	}
}
