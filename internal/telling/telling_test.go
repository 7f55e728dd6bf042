package telling

import (
	"math/bits"
	"testing"
	"time"

	"dateline/internal/news"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// told is a story as an agency tells it.
func told(uri, language, headline, standfirst string, after time.Duration, regions ...string) news.Story {
	return news.Story{URI: uri, Language: language, Headline: headline, Standfirst: standfirst, Regions: regions, StoredAt: noon.Add(after)}
}

func TestWhatIsAlike(t *testing.T) {
	quake := told("a", "en", "Magnitude 7.1 earthquake off Hokkaido; tsunami warning issued", "The agency warned of waves of up to three metres along the Pacific coast.", 0, "JP-01")
	later := func(d time.Duration) news.Story {
		s := quake
		s.URI, s.StoredAt = "b", s.StoredAt.Add(d)
		return s
	}
	elsewhere := later(time.Minute)
	elsewhere.Regions = []string{"ID"}
	inFrench := later(time.Minute)
	inFrench.Language = "fr"
	for name, c := range map[string]struct {
		a, b news.Story
		want bool
	}{
		"edited":          {quake, told("b", "en", "Magnitude 7.1 earthquake strikes off Hokkaido, tsunami warning issued", "The agency warned of waves up to three metres on the Pacific coast.", time.Minute, "JP"), true},
		"another agency":  {quake, told("b", "en", "Powerful quake hits off Hokkaido, tsunami warning in force", "Japan's weather agency said waves of up to three metres could reach the Pacific coast.", time.Minute, "030"), true},
		"Japanese":        {told("a", "ja", "北海道沖でM7.1の地震 津波警報を発表", "気象庁は太平洋沿岸に最大3メートルの津波警報を出した。", 0, "JP"), told("b", "ja", "北海道沖で地震、M7.1 津波警報", "気象庁は太平洋沿岸に最大3メートルの津波警報を発表した。", 0, "JP"), true},
		"Chinese":         {told("a", "zh-Hans", "北海道近海发生7.1级地震 日本发布海啸警报", "日本气象厅警告太平洋沿岸可能出现三米高海浪。", 0, "JP"), told("b", "zh-CN", "日本北海道近海7.1级地震，海啸警报发布", "日本气象厅称太平洋沿岸可能出现三米海浪。", 0, "JP"), true},
		"Arabic":          {told("a", "ar", "زلزال بقوة 7.1 قبالة هوكايدو وتحذير من تسونامي", "حذرت وكالة الأرصاد من أمواج يصل ارتفاعها إلى ثلاثة أمتار.", 0, "JP"), told("b", "ar", "تحذير من تسونامي بعد زلزال بقوة 7.1 قبالة هوكايدو", "حذرت وكالة الأرصاد اليابانية من أمواج ارتفاعها ثلاثة أمتار.", 0, "JP"), true},
		"another quake":   {quake, told("b", "en", "Magnitude 5.2 earthquake shakes Taipei; no damage reported", "The bureau said no tsunami was expected and trains ran as usual.", time.Minute, "JP-01"), false},
		"another matter":  {told("a", "ja", "日銀、政策金利を据え置き", "金融政策決定会合で、全会一致で決めた。", 0, "JP"), told("b", "ja", "北海道沖で地震、M7.1 津波警報", "気象庁は太平洋沿岸に最大3メートルの津波警報を発表した。", 0, "JP"), false},
		"half a day":      {quake, later(alikeWithin), true},
		"the next day":    {quake, later(alikeWithin + time.Second), false},
		"another place":   {quake, elsewhere, false},
		"another tongue":  {quake, inFrench, false},
		"the same story":  {quake, quake, false},
		"nothing is said": {told("a", "en", "", "", 0, "JP"), quake, false},
	} {
		a, b := Of(&c.a), Of(&c.b)
		if a.Alike(b) != c.want || b.Alike(a) != c.want {
			t.Errorf("%s: %d bits differ", name, bits.OnesCount64(a.print^b.print))
		}
	}
}
