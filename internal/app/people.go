package app

import (
	"fmt"
	"math/rand/v2"
	"time"

	"dateline/internal/news"
)

// people makes plausible readers for the demo, the same ones every time.
type people struct{ rng *rand.Rand }

func newPeople(seed uint64) *people { return &people{rand.New(rand.NewPCG(seed, 35))} }

// home is where a reader lives. Weight is roughly how many of 100 do.
type home struct {
	region, zone string
	languages    []string
	weight       int
	around       []string // other places such a reader may follow
}

// homes span the five sub-regions of Asia.
func homes() []home {
	return []home{
		{"JP", "Asia/Tokyo", []string{"ja", "ja", "ja", "en"}, 14, []string{"KR", "030", "JP-13"}},
		{"CN", "Asia/Shanghai", []string{"zh-Hans", "zh-Hans", "en"}, 12, []string{"HK", "TW", "030"}},
		{"HK", "Asia/Hong_Kong", []string{"zh-Hant", "en"}, 4, []string{"CN", "030"}},
		{"TW", "Asia/Taipei", []string{"zh-Hant", "zh-Hant", "en"}, 5, []string{"JP", "030"}},
		{"KR", "Asia/Seoul", []string{"ko", "ko", "en"}, 7, []string{"JP", "030"}},
		{"IN", "Asia/Kolkata", []string{"hi", "en", "en", "ta"}, 15, []string{"034", "SAARC", "IN-MH"}},
		{"PK", "Asia/Karachi", []string{"ur", "en"}, 5, []string{"034", "SAARC"}},
		{"BD", "Asia/Dhaka", []string{"bn", "en"}, 3, []string{"034", "SAARC"}},
		{"NP", "Asia/Kathmandu", []string{"ne", "en"}, 1, []string{"034"}},
		{"IR", "Asia/Tehran", []string{"fa"}, 2, []string{"145"}},
		{"ID", "Asia/Jakarta", []string{"id", "id", "en"}, 9, []string{"035", "ASEAN", "ID-JK"}},
		{"TH", "Asia/Bangkok", []string{"th", "th", "en"}, 5, []string{"035", "ASEAN"}},
		{"VN", "Asia/Ho_Chi_Minh", []string{"vi", "en"}, 5, []string{"035", "ASEAN"}},
		{"PH", "Asia/Manila", []string{"en", "fil"}, 4, []string{"035", "ASEAN"}},
		{"MY", "Asia/Kuala_Lumpur", []string{"ms", "en", "zh-Hans"}, 2, []string{"035", "SG", "ID"}},
		{"SG", "Asia/Singapore", []string{"en", "zh-Hans"}, 2, []string{"035", "142", "ASEAN"}},
		{"KZ", "Asia/Almaty", []string{"ru", "kk"}, 1, []string{"143"}},
		{"UZ", "Asia/Tashkent", []string{"ru", "uz"}, 1, []string{"143"}},
		{"SA", "Asia/Riyadh", []string{"ar"}, 2, []string{"145", "GCC"}},
		{"AE", "Asia/Dubai", []string{"ar", "en"}, 1, []string{"145", "GCC", "142"}},
	}
}

func (p *people) home() home {
	all, total := homes(), 0
	for _, h := range all {
		total += h.weight
	}
	n := p.rng.IntN(total)
	for _, h := range all {
		if n -= h.weight; n < 0 {
			return h
		}
	}
	return all[0]
}

func (p *people) chance(percent int) bool { return p.rng.IntN(100) < percent }

// pick is one of the choices.
func pick[T any](p *people, choices []T) T { return choices[p.rng.IntN(len(choices))] }

// wishes are one reader's.
func (p *people) wishes(now time.Time) (news.Wishes, home) {
	h := p.home()
	w := news.Wishes{Language: pick(p, h.languages), Timezone: h.zone,
		Preference: news.Preference{Regions: p.places(h), Level: pick(p, []news.Level{
			news.LevelBulletin, news.LevelBulletin, news.LevelBulletin, news.LevelNotice, news.LevelFlash})}}
	pref := &w.Preference
	if p.chance(25) {
		pref.Sections = pick(p, [][]string{{"business", "technology"}, {"politics", "world"}, {"disaster", "weather"},
			{"culture"}, {"sport"}, {"science", "health", "environment"}, {"politics", "business", "disaster"}})
	}
	if p.chance(8) { // all of it at home, only flashes from elsewhere
		pref.Level = news.LevelFlash
		pref.Overrides = []news.Override{{Regions: []string{h.region}, Level: news.LevelNotice}}
		pref.Regions = unique(append(pref.Regions, h.region))
	}
	if p.chance(5) {
		pref.Regions, pref.Muted = []string{"035"}, []string{pick(p, []string{"SG", "MM", "ID", "PH"})}
	}
	if p.chance(50) {
		w.Quiet = &news.Quiet{From: 22 * 60, To: 7 * 60, Flash: !p.chance(6)}
	}
	if p.chance(10) {
		w.Cap = 1 + p.rng.IntN(5)
	}
	w.OnlyLanguage = p.chance(3)
	if p.chance(1) {
		w.PausedUntil = now.Add(72 * time.Hour).Truncate(time.Second)
	}
	return w, h
}

func (p *people) places(h home) []string {
	places := []string{h.region}
	switch n := p.rng.IntN(10); {
	case n < 2:
		places = append(places, pick(p, h.around))
	case n < 3:
		places = []string{pick(p, h.around)}
	case n < 4:
		places = append(places, pick(p, homes()).region)
	}
	return unique(places)
}

func unique(in []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// mailbox is a digest reader, confirmed.
func (p *people) mailbox(n int, now time.Time) news.Mailbox {
	w, _ := p.wishes(now)
	w.Quiet, w.Cap, w.PausedUntil = nil, 0, time.Time{}
	m := news.Mailbox{Address: fmt.Sprintf("reader%d@demo.example", n), State: news.MailboxActive, Wishes: w,
		Hour: 5 + p.rng.IntN(5), Days: []int{1, 2, 3, 4, 5, 6, 7},
		Consent: news.Consent{TextVersion: "demo", Source: "demo", RequestedAt: now, ConfirmedAt: now}}
	return m
}
