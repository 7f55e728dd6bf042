package digest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"dateline/internal/email"
	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/simulate"
	"dateline/templates"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test -update accepts it):\n%s", name, diff)
	}
}

func publisher() email.Publisher {
	return email.Publisher{Name: "SNOWLAND s.r.o.", ID: "06691200",
		Address: []string{"Na okraji 381/41", "Veleslavín", "162 00 Praha 6", "Czech Republic"}}
}

func newRenderer(t testing.TB) *Renderer {
	t.Helper()
	words, err := email.LoadWords(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRenderer(templates.FS, words, publisher(), "https://alerts.news.example")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readerLinks are as long as real ones.
func readerLinks() Links {
	return Links{Manage: "https://alerts.news.example/manage/" + strings.Repeat("m", 51),
		Unsubscribe: "https://alerts.news.example/unsubscribe/" + strings.Repeat("u", 46)}
}

// newsDay is a day's worth of stories, in many scripts.
func newsDay() []news.Story {
	photo := func(n, w, h int) *news.Image {
		return &news.Image{URL: fmt.Sprintf("https://img.news.example/%d.jpg", n), Alt: "Rescue workers carry sandbags along the river bank", Width: w, Height: h}
	}
	return []news.Story{
		story("japan-cybersecurity", func(s *news.Story) {
			s.Headline = "Japan risks losing trust of US, other allies over its ‘serious’ cybersecurity flaws, minister warns"
			s.Standfirst = "Japan’s foreign minister has called for urgent action to bolster national cybersecurity following alerts from Washington that Tokyo’s lax defences are giving Beijing access to sensitive diplomatic communications, an issue that risks eroding trust with allies who may no longer trust the Japanese government with their secrets."
			s.Sections, s.Urgency, s.Breaking, s.Image = []string{"politics", "technology"}, 1, true, photo(1, 1200, 675)
			s.Translations = map[string]news.StoryText{
				"ja": {Headline: "日本、「深刻な」サイバー防衛の欠陥で米国など同盟国の信頼を失う恐れ　外相が警告", Standfirst: "日本の外相は、政府の甘い防御が機密外交通信への侵入を許しているとの米政府の警告を受け、国のサイバーセキュリティーを早急に強化するよう求めた。"},
				"hi": {Headline: "‘गंभीर’ साइबर ख़ामियों से जापान पर सहयोगियों का भरोसा डगमगा सकता है, मंत्री की चेतावनी", Standfirst: "जापान की विदेश मंत्री ने वॉशिंगटन की चेतावनियों के बाद साइबर सुरक्षा मज़बूत करने के लिए तुरंत कदम उठाने को कहा है।"},
				"ar": {Headline: "وزيرة يابانية تحذر: ثغرات إلكترونية «خطيرة» قد تفقد طوكيو ثقة حلفائها", Standfirst: "دعت وزيرة الخارجية اليابانية إلى تحرك عاجل لتعزيز الأمن الإلكتروني بعد تحذيرات من واشنطن."},
				"ur": {Headline: "وزیر کا انتباہ: سائبر سکیورٹی کی ’سنگین‘ خامیوں سے جاپان اتحادیوں کا اعتماد کھو سکتا ہے", Standfirst: "جاپان کی وزیرِ خارجہ نے واشنگٹن کے انتباہ کے بعد سائبر سکیورٹی مضبوط بنانے کے لیے فوری اقدام پر زور دیا ہے۔"},
			}
		}),
		story("monsoon", func(s *news.Story) {
			s.Headline, s.Standfirst = "Dam gates open as monsoon floods reach three northern provinces", "Villagers along the lower valley were told to move to higher ground overnight; two roads are closed and trains stop short of the border."
			s.Regions, s.Sections, s.Urgency, s.Image = []string{"TH"}, []string{"weather"}, 2, photo(2, 800, 600)
			s.Translations = map[string]news.StoryText{"th": {Headline: "เปิดประตูเขื่อนหลังน้ำท่วมจากมรสุมลามถึงสามจังหวัดภาคเหนือ", Standfirst: "ชาวบ้านริมหุบเขาตอนล่างได้รับคำสั่งให้ย้ายขึ้นที่สูงในช่วงกลางคืน ถนนสองสายถูกปิด"}}
		}),
		story("chips", func(s *news.Story) {
			s.Headline, s.Standfirst, s.Kind = "Why the next memory-chip boom will be made in smaller cities", "Power, water and patient local banks now count for more than a place in the capital’s science park.", "analysis"
			s.Regions, s.Sections, s.Urgency = []string{"KR", "TW"}, []string{"business"}, 4
		}),
		story("interview", func(s *news.Story) {
			s.Headline, s.Standfirst, s.Kind = "“We film what the tide leaves behind”", "A documentary maker from the delta on eight years of patience, and on why she shows her films in school yards first.", "interview"
			s.Regions, s.Sections, s.Urgency, s.Image = []string{"VN"}, []string{"culture"}, 6, photo(3, 600, 800)
		}),
		story("hk", func(s *news.Story) {
			s.Headline, s.Standfirst, s.Language = "天星小輪百年渡輪本周退役，碼頭擠滿送行市民", "最後一班船於日落時分離岸，船長鳴笛三響。", "zh-Hant"
			s.Regions, s.Sections, s.Urgency, s.Image = []string{"HK"}, []string{"society"}, 5, photo(4, 0, 0)
		}),
		story("delhi", func(s *news.Story) {
			s.Headline, s.Standfirst, s.Language = "दिल्ली में धुंध छँटी, स्कूल सोमवार से फिर खुलेंगे", "हवा की गति बढ़ने से प्रदूषण का स्तर दो हफ़्तों में पहली बार घटा।", "hi"
			s.Regions, s.Sections, s.Urgency = []string{"IN-DL"}, []string{"society"}, 5
		}),
		story("video", func(s *news.Story) {
			s.Headline, s.Standfirst, s.Kind = "Watch: the night train that brings books to the steppe", "Three carriages, four thousand volumes, one librarian.", "video"
			s.Regions, s.Sections, s.Urgency, s.Image = []string{"KZ"}, []string{"culture"}, 7, photo(5, 1280, 720)
		}),
		story("photo", func(s *news.Story) {
			s.Headline, s.Standfirst, s.Kind = "Lanterns over the harbour: a festival in one frame", "", "photo"
			s.Regions, s.Sections, s.Urgency, s.Image = []string{"ID"}, []string{"culture"}, 8, photo(6, 1600, 1000)
		}),
		story("doha", func(s *news.Story) {
			s.Headline, s.Standfirst, s.Language = "الدوحة تستضيف محادثات لتمديد الهدنة", "يصل المبعوثون مساء اليوم، ولم يعلن عن موعد لانتهاء المحادثات.", "ar"
			s.Regions, s.Sections, s.Urgency = []string{"QA"}, []string{"world"}, 3
		}),
		story("pushed", func(s *news.Story) { s.Headline = "Strong quake felt along the northern coast, no tsunami expected" }),
	}
}

func wishes(language string) news.Wishes {
	return news.Wishes{Language: language, Timezone: "Asia/Tokyo",
		Preference: news.Preference{Regions: []string{"142", "ASEAN", "GCC"}, Muted: []string{"KP"}, Level: news.LevelBulletin}}
}

func renderDay(t testing.TB, language string) *Rendered {
	t.Helper()
	q := Query{Edition: tokyoEdition(), Wishes: wishes(language),
		Pushed: []news.Pushed{{StoryURI: "pushed", AlertID: "a-1", Kind: news.ReleaseCorrection, At: now().Add(-time.Hour)}}}
	m, err := newRenderer(t).Render(q.Edition, q.Wishes, NewShelf(newsDay(), now()).Choose(q))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMailGolden(t *testing.T) {
	for _, language := range []string{"en", "ja", "ar"} {
		text, page := renderDay(t, language).For(readerLinks())
		golden(t, "digest."+language+".txt", text)
		golden(t, "digest."+language+".html", page)
	}
}

func TestMailInEveryLanguage(t *testing.T) {
	words, err := email.LoadWords(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range append(words.Languages(), "fr", "zh-HK", "") {
		m := renderDay(t, language)
		text, page := m.For(readerLinks())
		for _, want := range []string{readerLinks().Manage, readerLinks().Unsubscribe, "SNOWLAND s.r.o.", "06691200", "162 00 Praha 6",
			region.Dateline("KR", now().Add(-time.Hour), "en")} {
			if !strings.Contains(text, want) || !strings.Contains(page, want) {
				t.Errorf("%s: %q is missing (text %t, HTML %t)", language, want, strings.Contains(text, want), strings.Contains(page, want))
			}
		}
		for _, bad := range []string{"ZgotmplZ", "dateline.invalid", "{places}", "<no value>", "%!"} {
			if strings.Contains(text+page, bad) {
				t.Errorf("%s: %q in the mail", language, bad)
			}
		}
	}
}

func TestMailIsSoundHTML(t *testing.T) {
	_, page := renderDay(t, "ar").For(readerLinks())
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "img" {
			continue
		}
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		if attr["alt"] == "" || attr["width"] == "" || attr["height"] == "" || !strings.HasPrefix(attr["src"], "https://") {
			t.Errorf("picture without alt, size or https: %v", attr)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "<link") || !strings.Contains(page, `dir="rtl"`) {
		t.Error("a mail has no scripts and no style sheets, and Arabic runs from right to left")
	}
}

func TestMailShowsKindsAndAlerts(t *testing.T) {
	text, page := renderDay(t, "en").For(readerLinks())
	for _, want := range []string{"[Analysis] Why the next", "[Interview] “We film", "[Video] Watch", "[Photo] Lanterns", "You were already alerted to:\n* "} {
		if !strings.Contains(text, want) {
			t.Errorf("text lacks %q", want)
		}
	}
	for _, want := range []string{">Analysis<", ">Interview<", ">Video<", ">Photo<", "(corrected)"} {
		if !strings.Contains(page, want) {
			t.Errorf("HTML lacks %q", want)
		}
	}
	if strings.Contains(page, "Strong quake") || strings.Contains(text, "Strong quake") {
		t.Error("an alerted story is told again")
	}
}

// Gmail cuts a mail at 102 KB and hides the imprint and the way out with it.
func TestMailStaysSmall(t *testing.T) {
	m, err := email.New(email.Config{Server: email.Server{Host: "127.0.0.1", Port: 25}, From: "digest@news.example"})
	if err != nil {
		t.Fatal(err)
	}
	for language, sample := range map[string]string{"en": "lorem ipsum – dolor ", "hi": "मंत्रालय की चेतावनी ", "th": "เปิดประตูเขื่อนหลังน้ำท่วม", "ja": "日本の外相が警告した。", "ur": "وزیر کا انتباہ "} {
		var stories []news.Story
		for i := range maxStories {
			stories = append(stories, story(fmt.Sprintf("%s/%d", strings.Repeat("x", 150), i), func(s *news.Story) {
				s.Language, s.Headline, s.Standfirst, s.Kind = language, strings.Repeat(sample, 100), strings.Repeat(sample, 200), "analysis"
				s.Sections = []string{news.Sections()[i].Name}
				s.Image = &news.Image{URL: "https://img.news.example/" + strings.Repeat("i", 150), Alt: strings.Repeat(sample, 50)}
			}))
		}
		q := Query{Edition: tokyoEdition(), Wishes: wishes(language)}
		rendered, err := newRenderer(t).Render(q.Edition, q.Wishes, NewShelf(stories, now()).Choose(q))
		if err != nil {
			t.Fatal(err)
		}
		text, page := rendered.For(readerLinks())
		raw, err := m.Compose(email.Mail{To: "reader@mail.example", Subject: rendered.Subject, Text: text, HTML: page, MessageID: "a@news.example", Date: now()})
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > 80<<10 {
			t.Errorf("%s: %d bytes", language, len(raw))
		}
		t.Logf("%s: %d KB", language, len(raw)>>10)
	}
}

// T05, in a mail: what a story says is text.
func TestMailEscapesStories(t *testing.T) {
	evil := story("a", func(s *news.Story) {
		s.Headline, s.Standfirst, s.URL = `<script>alert(1)</script> & "more"`, `<img src=x onerror=alert(1)>`, "javascript:alert(1)"
		s.Image = &news.Image{URL: "http://img.example/x.jpg", Alt: `"><script>`}
	})
	q := Query{Edition: tokyoEdition(), Wishes: wishes("en")}
	rendered, err := newRenderer(t).Render(q.Edition, q.Wishes, NewShelf([]news.Story{evil}, now()).Choose(q))
	if err != nil {
		t.Fatal(err)
	}
	_, page := rendered.For(readerLinks())
	for _, bad := range []string{"<script", "<img", "javascript:"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q in the mail", bad)
		}
	}
}

func TestRenderOncePerContent(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	shelf := NewShelf(newsDay(), now())
	q := Query{Edition: tokyoEdition(), Wishes: wishes("en")}
	first, err := h.plate(q.Edition, q.Wishes, shelf.Choose(q))
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.plate(q.Edition, q.Wishes, shelf.Choose(q))
	if err != nil || again != first {
		t.Errorf("the same content was rendered twice (%v)", err)
	}
	for name, change := range map[string]func(*Query){
		"language": func(q *Query) { q.Wishes.Language = "ja" },
		"date":     func(q *Query) { q.Edition.LocalDate = "2026-02-07" },
		"history":  func(q *Query) { q.Pushed = []news.Pushed{{StoryURI: "pushed", At: now()}} },
		"correction": func(q *Query) {
			q.Pushed = []news.Pushed{{StoryURI: "pushed", Kind: news.ReleaseCorrection, At: now()}}
		},
		"preference": func(q *Query) { q.Wishes.Preference.Regions = []string{"142"} },
	} {
		other := q
		change(&other)
		if got, err := h.plate(other.Edition, other.Wishes, shelf.Choose(other)); err != nil || got == first {
			t.Errorf("another %s, the same mail (%v)", name, err)
		}
	}
}

// A mail that was rendered for everybody is the one that would have been
// rendered for the reader alone.
func TestRenderedForEverybodyIsRenderedForOne(t *testing.T) {
	r := newRenderer(t)
	odd := Links{Manage: "https://alerts.news.example/manage/a?b=c&d=e", Unsubscribe: "https://alerts.news.example/unsubscribe/x=y"}
	for _, language := range []string{"en", "ja", "ar", "hi"} {
		for _, links := range []Links{readerLinks(), odd} {
			q := Query{Edition: tokyoEdition(), Wishes: wishes(language)}
			selection := NewShelf(newsDay(), now()).Choose(q)
			all, err := r.Render(q.Edition, q.Wishes, selection)
			if err != nil {
				t.Fatal(err)
			}
			view, err := r.View(q.Edition, q.Wishes, selection)
			if err != nil {
				t.Fatal(err)
			}
			one, err := view.For(links)
			if err != nil {
				t.Fatal(err)
			}
			text, page := all.For(links)
			if text != one.Text || page != one.HTML || all.Subject != one.Subject {
				t.Errorf("%s: %s", language, cmp.Diff(one.Text+one.HTML, text+page))
			}
		}
	}
}

// Stories that were laid out for one mail stand in the next as they would
// without: wherever they stand, and whoever reads them.
func TestCardsAreAsMadeAnew(t *testing.T) {
	day := newsDay()
	old, fresh := newRenderer(t), newRenderer(t)
	fresh.marks = old.marks
	for i := range day {
		var s Selection
		for n := range day {
			s.Groups = append(s.Groups, Group{Section: day[n].Sections[0], Stories: []*news.Story{&day[(i+n)%len(day)]}})
		}
		for _, language := range []string{"en", "ja", "zh-HK", "fr"} {
			fresh.cards = cards{}
			w, err := fresh.Render(tokyoEdition(), wishes(language), s)
			if err != nil {
				t.Fatal(err)
			}
			g, err := old.Render(tokyoEdition(), wishes(language), s)
			if err != nil || *g != *w {
				t.Fatalf("%s, %s first: %v %s", language, day[i].URI, err, cmp.Diff(w, g))
			}
		}
	}
	if len(old.cards.byKey) == 0 {
		t.Error("no story is remembered")
	}
}

// A story that names the links of readers would be handed their tokens.
func TestMarksCantBeGuessed(t *testing.T) {
	a, b := newMarks(), newMarks()
	if a.Manage == b.Manage || a.Unsubscribe == b.Unsubscribe || len(a.Manage) < 48 {
		t.Errorf("marks %+v and %+v", a, b)
	}
}

// Where the line is written from the right, a place in Latin letters would pull
// the day after it to its own side ("28 DUBAI" for "DUBAI، 28", UAX #9, W7).
func TestDatelineKeepsItsOrder(t *testing.T) {
	at := time.Date(2026, 11, 28, 1, 3, 0, 0, time.UTC)
	for _, c := range []struct{ place, lang, want string }{
		{"AE-DU", "ar", "دبي، 28 نوفمبر، 05:03 GST"},
		{"US-NY", "ar", "NEW YORK\u200f، 27 نوفمبر، 20:03 EST"},
		{"AE-DU", "fa", "DUBAI\u200f، 28 نوامبر، 05:03 GST"},
		{"JP", "ar", "طوكيو، 28 نوفمبر، 10:03 JST"},
		{"AE-DU", "en", "DUBAI, 28 Nov, 05:03 GST"},
	} {
		s := story("a", func(s *news.Story) { s.Regions, s.Created = []string{c.place}, at })
		if got := dateline(&s, c.lang); got != c.want {
			t.Errorf("%s: %q, want %q", c.lang, got, c.want)
		}
	}
}

// A mail of one story has something to show beside its subject.
func TestPreheader(t *testing.T) {
	one, other := storyView{Headline: "Flood", Standfirst: "Gates open.", Dateline: "TOKYO, 6 Feb"}, storyView{Headline: "Truce"}
	bare := one
	bare.Standfirst = ""
	for want, stories := range map[string][]storyView{"Truce": {one, other}, "Gates open.": {one}, "TOKYO, 6 Feb": {bare}} {
		v := mailView{Lead: stories[0]}
		if len(stories) > 1 {
			v.Groups = []groupView{{Stories: stories[1:]}}
		}
		if subject, got := v.head(); subject != "Flood" || got != want {
			t.Errorf("%q, %q; want %q", subject, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, test := range []struct {
		text string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"a longer sentence, with words", 20, "a longer sentence…"},
		{"日本の外相は早急な対策を求めた", 12, "日本の外相…"},
		{"👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 10, "👩‍👩‍👧‍👦…"},
		{"  spaced  ", 10, "spaced"},
	} {
		if got := clip(test.text, test.n); got != test.want {
			t.Errorf("clip(%q, %d) = %q, want %q", test.text, test.n, got, test.want)
		}
	}
}

// Where the publisher counts, links lead through us and name no reader; else nothing in
// a mail tells anybody that it was opened.
func TestLinksCountWhereAsked(t *testing.T) {
	for _, counted := range []bool{false, true} {
		h := newHouse(t, simulate.MailOptions{}, func(c *Config) { c.Tracking = counted })
		h.store.put(story("https://news.example/a"), story("https://news.example/b"))
		h.store.join(box("r1"), box("r2"))
		h.run(t)
		var visits [2]string
		for i, m := range h.server.Mails() {
			text, page, err := m.Parts()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(text, "/visit/") == 2 && strings.Count(page, "/visit/") == 3 && !strings.Contains(page, `href="https://news.example/`); got != counted {
				t.Errorf("counted %t: %d and %d links through us", counted, strings.Count(text, "/visit/"), strings.Count(page, "/visit/"))
			}
			for _, word := range strings.Fields(text) {
				if strings.Contains(word, "/visit/") {
					visits[i] += word
				}
			}
		}
		if visits[0] != visits[1] {
			t.Error("two readers' links differ")
		}
	}
}
