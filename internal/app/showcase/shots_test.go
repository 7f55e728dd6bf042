package showcase

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

var (
	shots = flag.String("shots", "", "folder to put screenshots of the pages into (needs Chromium)")
	stay  = flag.Bool("stay", false, "with -shots: keep serving, with an alert going out again and again")
)

// story is an entry of the newsroom's day.
type story struct {
	URI, Language, Headline, Standfirst string
	Regions                             []string
	Translations                        map[string]struct{ Headline, Standfirst string }
}

func day(t *testing.T) []story {
	raw, err := os.ReadFile("../newsroom/day.json")
	if err != nil {
		t.Fatal(err)
	}
	var entries []struct{ Story story }
	if err := json.Unmarshal(raw, &entries); err != nil {
		t.Fatal(err)
	}
	var all []story
	for _, e := range entries {
		if e.Story.Headline != "" {
			all = append(all, e.Story)
		}
	}
	return all
}

// in is a story's text for a reader of a language.
func (s story) in(lang, level string) text {
	head, body, said := s.Headline, s.Standfirst, s.Language
	if tr, ok := s.Translations[lang]; ok {
		head, body, said = tr.Headline, tr.Standfirst, lang
	}
	return text{s.URI, level, said, head, body}
}

// audienceOf is n phones all over Asia, the same ones every time.
func audienceOf(st *stage, n int) []Phone {
	homes := []struct{ lang, zone, region string }{{"ja", "Asia/Tokyo", "JP"}, {"hi", "Asia/Kolkata", "IN"}, {"ar", "Asia/Riyadh", "SA"},
		{"th", "Asia/Bangkok", "TH"}, {"zh-Hans", "Asia/Shanghai", "CN"}, {"id", "Asia/Jakarta", "ID"}, {"zh-Hant", "Asia/Taipei", "TW"},
		{"ko", "Asia/Seoul", "KR"}, {"en", "Asia/Singapore", "SG"}, {"ur", "Asia/Karachi", "PK"}, {"vi", "Asia/Ho_Chi_Minh", "VN"}, {"en", "Europe/Prague", "142"}}
	rng := rand.New(rand.NewPCG(1, 2))
	var phones []Phone
	for i := range n {
		h := homes[i%len(homes)]
		w := wishes(h.lang, h.zone, h.region)
		if rng.IntN(3) == 0 {
			w.Preference.Regions = append(w.Preference.Regions, "ASEAN", "035")
		}
		if rng.IntN(4) == 0 {
			w.Preference.Sections = []string{"business", "technology", "disaster"}
			w.Preference.Muted = []string{"PH"}
		}
		w.Preference.Level = news.Levels()[rng.IntN(3)]
		if rng.IntN(2) == 0 {
			w.Quiet = &news.Quiet{From: 22 * 60, To: 7 * 60, Flash: rng.IntN(4) > 0}
		}
		phones = append(phones, st.phone(i%2, "", w))
	}
	return phones
}

// TestShots takes pictures of the pages for people to look at:
//
//	go test ./internal/app/showcase -run Shots -shots /tmp/shots
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("NOT RUN: no -shots folder was given")
	}
	st := newStage(t, nil)
	stories, phones := day(t), audienceOf(st, 200)
	st.show.SetPhones(phones)
	url := serve(t, st)
	rng := rand.New(rand.NewPCG(3, 4))
	for i, s := range stories[:len(stories)-1] {
		st.pass(time.Minute)
		for _, p := range phones {
			if p.Wishes.Preference.Level == news.LevelNotice && rng.IntN(16) == 0 {
				st.send(p, s.in(p.Wishes.Language, "notice"), 1, fmt.Sprint("t", i))
			}
		}
	}
	st.pass(time.Minute)
	quake := stories[len(stories)-1]
	release := func(revision int) {
		for i, p := range phones {
			if i%5 == 1 {
				continue
			}
			st.send(p, quake.in(p.Wishes.Language, "flash"), revision, "quake")
			if i%17 == 0 {
				st.send(p, quake.in(p.Wishes.Language, "flash"), revision, "quake")
			}
			st.pass(7 * time.Millisecond)
		}
	}
	release(1)
	corrected := quake.in("en", "flash")
	corrected.title = "Correction: magnitude 7.2, not 7.6; tsunami warning for Indonesia stays"
	st.send(phones[8], corrected, 2, "quake")
	mails(st)
	for name, path := range map[string]string{"phones": "/phones", "page4": "/phones?page=4", "find": "/phones?q=japan&show=breaking", "none": "/phones?q=nowhere",
		"outbox": "/outbox", "mail": "/outbox/1", "mail360": "/outbox/3?width=360", "maildark": "/outbox/2?theme=dark"} {
		for _, size := range []string{"1360,1500", "500,1800"} {
			for _, dark := range []string{"0", "1"} {
				shoot(t, url+path, fmt.Sprintf("%s-%s-%s", name, size[:strings.Index(size, ",")], map[string]string{"0": "dark", "1": "light"}[dark]), size, dark)
			}
		}
	}
	for revision := 3; *stay && t.Context().Err() == nil; revision++ {
		release(revision)
	}
}

func serve(t *testing.T, st *stage) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := web.NewServer(st.http)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	t.Logf("serving http://%s", l.Addr())
	return "http://" + l.Addr().String()
}

func mails(st *stage) {
	var addresses []string
	files, _ := filepath.Glob("../../digest/testdata/*.html")
	for i := range 80 {
		addresses = append(addresses, fmt.Sprintf("reader-%d@mail.example", i))
		file := files[i%len(files)]
		rich, _ := os.ReadFile(file)
		plain, _ := os.ReadFile(strings.TrimSuffix(file, "html") + "txt")
		subjects := []string{"صباحك: زلزال بقوة 7.6 قبالة سومطرة، و11 خبراً آخر", "Your morning: Earthquake off Sumatra, and 11 more",
			"今朝のニュース：スマトラ島沖で地震、ほか11件"}
		st.mail(addresses[i], subjects[i%3], string(plain), string(rich))
	}
	boxes := readersOf(addresses...)
	for i := range boxes {
		boxes[i].Wishes.Language = []string{"ar", "en", "ja"}[i%3]
	}
	st.show.SetReaders(boxes)
}

func shoot(t *testing.T, url, name, size, scheme string) {
	out, err := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size="+size,
		"--blink-settings=preferredColorScheme="+scheme, "--virtual-time-budget=2500", "--user-data-dir="+t.TempDir(),
		"--screenshot="+filepath.Join(*shots, name+".png"), url).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

// TestLiveInChromium: the script puts in what arrives while the page is open,
// keeps what was opened, and breaks no rule of the page's policy.
func TestLiveInChromium(t *testing.T) {
	if *shots == "" {
		t.Skip("NOT RUN: no -shots folder was given")
	}
	st := newStage(t, nil)
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	pages, looks := st.http, 0
	st.http = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/phones/live" {
			st.pass(time.Second)
			looks++
			switch looks {
			case 1:
				st.send(phones[0], quakeJA, 1, "q")
			case 2:
				st.send(phones[3], quakeEN, 1, "q")
				st.send(phones[3], trains, 1, "t")
			}
		}
		pages.ServeHTTP(w, r)
	})
	out, err := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--enable-logging=stderr", "--virtual-time-budget=3800", "--dump-dom", serve(t, st)+"/phones").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	page := string(out)
	for _, want := range []string{quakeJA.title, quakeEN.title, "Mumbai tests", `note urgent now fresh`, "Pause"} {
		if !strings.Contains(page, want) {
			t.Errorf("after %d looks the page lacks %q", looks, want)
		}
	}
	if strings.Count(page, `class="phone"`) != 4 || looks < 3 {
		t.Errorf("%d phones after %d looks", strings.Count(page, `class="phone"`), looks)
	}
	for _, line := range strings.Split(page, "\n") {
		if strings.Contains(line, "Content Security Policy") || strings.Contains(line, "Uncaught") {
			t.Error(line)
		}
	}
}
