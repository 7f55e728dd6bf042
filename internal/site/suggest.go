package site

import (
	"net/http"
	"slices"

	"golang.org/x/text/language"

	"dateline/internal/region"
)

// moreZones are the zones of a country beside that of its main city, and the
// names that zones had before: browsers still say Asia/Calcutta (CLDR keeps the
// first name that a zone ever had; tz's file "backward" has the new ones).
func moreZones(country string) string {
	return map[string]string{
		"BD": "Asia/Dacca", "BT": "Asia/Thimbu", "CN": "Asia/Urumqi Asia/Kashgar Asia/Chongqing Asia/Chungking Asia/Harbin PRC",
		"CY": "Asia/Famagusta Europe/Nicosia", "HK": "Hongkong", "ID": "Asia/Makassar Asia/Ujung_Pandang Asia/Jayapura Asia/Pontianak",
		"IL": "Asia/Tel_Aviv Israel", "IN": "Asia/Calcutta", "IR": "Iran", "JP": "Japan", "KR": "ROK",
		"KZ": "Asia/Aqtau Asia/Aqtobe Asia/Atyrau Asia/Oral Asia/Qostanay Asia/Qyzylorda", "MM": "Asia/Rangoon",
		"MN": "Asia/Hovd Asia/Choibalsan Asia/Ulan_Bator", "MO": "Asia/Macao", "MY": "Asia/Kuching", "NP": "Asia/Katmandu",
		"PS": "Asia/Gaza", "SG": "Singapore", "TM": "Asia/Ashkhabad", "TR": "Asia/Istanbul Turkey", "TW": "ROC",
		"UZ": "Asia/Samarkand", "VN": "Asia/Saigon",
	}[country]
}

const (
	mostSuggested = 3
	mostCountries = 2
)

// suggestions are places that the browser's languages speak for: Japan for ja,
// Hong Kong for zh-HK, and the part of Asia that the first of them lies in. The
// page's script adds the place of the browser's time zone. Where she is, nobody
// asks.
func (s *Site) suggestions(v view, r *http.Request, chosen []string) []place {
	accept := r.Header.Get("Accept-Language")
	if len(accept) > 200 || len(chosen) > 0 {
		return nil
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return nil
	}
	var codes []string
	for _, tag := range tags {
		country, confidence := tag.Region()
		code := country.String()
		if confidence == language.No || !region.Known(code) || !region.Within(code, asia) || slices.Contains(codes, code) || len(codes) == mostCountries {
			continue
		}
		codes = append(codes, code)
	}
	if len(codes) > 0 {
		codes = append(codes, region.Parent(codes[0]))
	}
	var out []place
	for _, code := range codes[:min(len(codes), mostSuggested)] {
		out = append(out, placeIn(code, v.Lang))
	}
	return out
}
