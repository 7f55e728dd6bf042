package email

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"dateline/internal/news"
	"dateline/templates"
)

func loadWords(t *testing.T) *Words {
	t.Helper()
	w, err := LoadWords(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWordsCoverEveryLanguageSectionAndKind(t *testing.T) {
	w := loadWords(t)
	for _, want := range []string{"en", "ja", "zh-Hans", "zh-Hant", "ko", "hi", "ar", "ur", "th", "id", "vi"} {
		v := w.In(want)
		if v.Language != want {
			t.Errorf("%s: got %s", want, v.Language)
		}
		for _, s := range news.Sections() {
			if v.words.Sections[s.Name] == "" {
				t.Errorf("%s: no word for section %s", want, s.Name)
			}
		}
		for _, kind := range news.Kinds() {
			if (v.Kind(kind) == "") != (kind == "article") {
				t.Errorf("%s: kind %s is %q", want, kind, v.Kind(kind))
			}
		}
	}
}

func TestWordsPickTheClosest(t *testing.T) {
	w := loadWords(t)
	for wanted, want := range map[string]string{"en-GB": "en", "zh-HK": "zh-Hant", "zh-TW": "zh-Hant", "zh-CN": "zh-Hans", "zh": "zh-Hans",
		"fr": "en", "": "en", "!!": "en", "ms": "id", "ja-JP": "ja"} {
		if got := w.In(wanted).Language; got != want {
			t.Errorf("%q: %s, want %s", wanted, got, want)
		}
	}
}

func TestDate(t *testing.T) {
	w := loadWords(t)
	day := time.Date(2026, 2, 8, 0, 0, 0, 0, time.UTC)
	for lang, want := range map[string]string{"en": "Sunday, 8 February 2026", "ja": "2026年2月8日（日）", "zh-Hant": "2026年2月8日 星期日",
		"th": "วันอาทิตย์ที่ 8 กุมภาพันธ์ 2026", "vi": "Chủ Nhật, ngày 8 tháng 2 năm 2026"} {
		if got := w.In(lang).Date(day); got != want {
			t.Errorf("%s: %s, want %s", lang, got, want)
		}
	}
}

func TestLoadWordsRefuses(t *testing.T) {
	const good = `"dir":"ltr","date":"{day}","weekdays":["1","2","3","4","5","6","7"],"months":["1","2","3","4","5","6","7","8","9","10","11","12"],"kinds":{},"sections":{}`
	for name, text := range map[string]string{
		"not JSON":     "{",
		"no English":   `{}`,
		"missing word": `{"en":{` + good + `,"terms":{"a":"b"}},"ja":{` + good + `,"terms":{}}}`,
		"extra word":   `{"en":{` + good + `,"terms":{"a":"b"}},"ja":{` + good + `,"terms":{"a":"b","c":"d"}}}`,
		"no direction": `{"en":{"terms":{"a":"b"}}}`,
	} {
		if _, err := LoadWords(fstest.MapFS{"email/words.json": {Data: []byte(text)}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := LoadWords(fstest.MapFS{}); err == nil {
		t.Error("no file: accepted")
	}
}

func TestFace(t *testing.T) {
	if FaceOf("ur").Line <= FaceOf("ar").Line || FaceOf("ja").Line <= FaceOf("en").Line || FaceOf("zh-HK") != FaceOf("zh-Hant") {
		t.Error("line heights")
	}
}

func confirmation(t *testing.T) *Confirmation {
	t.Helper()
	c, err := NewConfirmation(templates.FS, loadWords(t), Publisher{Name: "SNOWLAND s.r.o.", ID: "06691200",
		Address: []string{"Na okraji 381/41", "Veleslavín", "162 00 Praha 6", "Czech Republic"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func signupIn(language string) news.DigestSignup {
	at := time.Date(2026, 2, 6, 1, 30, 0, 0, time.UTC)
	return news.DigestSignup{Wishes: news.Wishes{Language: language, Timezone: "Asia/Tokyo"}, Hour: 7, CreatedAt: at, ExpiresAt: at.Add(48 * time.Hour)}
}

func TestConfirmationGolden(t *testing.T) {
	for _, language := range []string{"en", "ar"} {
		subject, text, html, err := confirmation(t).Render(ConfirmationData{Signup: signupIn(language), Places: "ASEAN",
			URL: "https://alerts.news.example/confirm/" + strings.Repeat("c", 51)})
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "confirm."+language+".txt", subject+"\n\n"+text)
		golden(t, "confirm."+language+".html", html)
	}
}

func TestConfirmationSaysWhen(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*news.DigestSignup)
		want   string
	}{
		"daily":    {func(*news.DigestSignup) {}, "Every day · 07:00 (Tokyo)"},
		"all days": {func(s *news.DigestSignup) { s.Days = []int{1, 2, 3, 4, 5, 6, 7} }, "Every day · 07:00"},
		"some":     {func(s *news.DigestSignup) { s.Days = []int{1, 7} }, "Monday Sunday · 07:00"},
		"weekly":   {func(s *news.DigestSignup) { s.Weekly = true }, "Saturday · 07:00"},
		"hours":    {func(s *news.DigestSignup) { s.ExpiresAt = s.CreatedAt.Add(24 * time.Hour) }, "works for 24 hours"},
	} {
		s := signupIn("en")
		test.change(&s)
		_, text, html, err := confirmation(t).Render(ConfirmationData{Signup: s, URL: "https://alerts.news.example/confirm/c"})
		if err != nil || !strings.Contains(text, test.want) || !strings.Contains(html, test.want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

func TestConfirmationEscapes(t *testing.T) {
	_, _, html, err := confirmation(t).Render(ConfirmationData{Signup: signupIn("en"), Places: "<script>", URL: "javascript:alert(1)"})
	if err != nil || strings.Contains(html, "<script") || strings.Contains(html, `href="javascript`) {
		t.Errorf("%v\n%s", err, html)
	}
}
