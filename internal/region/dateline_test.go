package region_test

import (
	"testing"
	"time"
	"unicode"

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
		{"TH", "th", "กรุงเทพฯ 6 ก.พ. 08:30 ICT —"},
		{"AE", "ar", "أبوظبي، 6 فبراير، 05:30 GST —"},
		{"AE-DU", "ar", "دبي، 6 فبراير، 05:30 GST —"},
		{"IN-MH", "ur", "مہاراشٹر، 6 فروری، 07:00 IST —"},
		{"JP-13", "ja", "東京、2月6日 10:30 JST —"},
		{"IN-DL", "hi", "नई दिल्ली, 6 फ़र॰, 07:00 IST —"},
		{"JP-23", "ja", "愛知県、2月6日 10:30 JST —"},
		{"CN-GD", "zh-TW", "廣東省，2月6日 09:30 CST —"},
		{"JP-23", "vi", "NAGOYA, 6 thg 2, 10:30 JST —"},
		{"US-CA", "ar", "LOS ANGELES\u200f، 5 فبراير، 17:30 PST —"}, // a mark, or the day would stand before the place
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

// TestEveryAsianCapitalIsWritten in the letters of each language of the pages
// that does not write in Latin ones.
func TestEveryAsianCapitalIsWritten(t *testing.T) {
	for lang, letters := range scripts() {
		if letters[0] == unicode.Latin {
			continue
		}
		for p := range region.All() {
			if p.Kind == region.KindCountry && region.Within(p.Code, "142") && !writtenIn(region.CitiesIn(p.Code)[lang], letters) {
				t.Errorf("the capital of %s in %s is %q", p.Code, lang, region.CitiesIn(p.Code)[lang])
			}
		}
	}
}

func TestZoneCity(t *testing.T) {
	for _, tt := range []struct{ zone, lang, want string }{
		{"Asia/Tokyo", "en", "Tokyo"}, {"Asia/Tokyo", "ja", "東京"}, {"Asia/Tokyo", "zh-TW", "東京"}, {"Asia/Tokyo", "zh-Hans", "东京"},
		{"Asia/Kolkata", "en", "Kolkata"}, {"Asia/Calcutta", "en", "Kolkata"}, {"Asia/Kolkata", "hi", "कोलकाता"},
		{"Asia/Ho_Chi_Minh", "en", "Ho Chi Minh City"}, {"Asia/Saigon", "vi", "TP Hồ Chí Minh"}, {"Asia/Yangon", "ko", "양곤"},
		{"Asia/Kathmandu", "id", "Kathmandu"}, {"Asia/Hong_Kong", "en", "Hong Kong"}, {"America/St_Johns", "en", "St. John’s"},
		{"Europe/Kyiv", "en", "Kyiv"}, {"America/Argentina/Buenos_Aires", "en", "Buenos Aires"},
		{"UTC", "ar", "UTC"}, {"", "en", ""}, {"Mars/Olympus_Mons", "ja", "Olympus Mons"}, {"Asia/Tokyo", "not a language", "Tokyo"},
	} {
		if got := region.ZoneCity(tt.zone, tt.lang); got != tt.want {
			t.Errorf("ZoneCity(%s, %s) = %q, want %q", tt.zone, tt.lang, got, tt.want)
		}
	}
}

func TestOffset(t *testing.T) {
	at := time.Date(2024, 2, 6, 1, 30, 0, 0, time.UTC)
	for zone, want := range map[string]string{"Asia/Tokyo": "UTC+9", "Asia/Kolkata": "UTC+5:30", "UTC": "UTC", "Europe/London": "UTC",
		"America/New_York": "UTC-5", "America/St_Johns": "UTC-3:30"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := region.Offset(at.In(loc)); got != want {
			t.Errorf("Offset in %s is %q, want %q", zone, got, want)
		}
	}
}
