package site

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/link"
	"dateline/internal/news"
)

func TestDigestSignup(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	w := h.do("POST", "/api/v1/digests", `{"email":" Reader@Example.ORG ","regions":["JP","035"],"mutedRegions":["SG"],"sections":["culture"],
		"level":"notice","language":"ja","timezone":"Asia/Tokyo","hour":6,"days":[5,1,1],"weekly":false,"pausedUntil":null}`,
		"Authorization", "Bearer "+c.Token, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var got news.DigestSignup
	for _, got = range h.store.signups {
	}
	if got.Consent.ClientHash == "" || strings.Contains(got.Consent.ClientHash, "192.0.2") {
		t.Errorf("client hash %q", got.Consent.ClientHash)
	}
	got.ID, got.Consent.ClientHash = "", ""
	want := news.DigestSignup{Address: "reader@example.org", Hour: 6, Days: []int{1, 5}, SubscriberID: "subscriber-of-" + c.ID, DeviceLabel: "Firefox on Linux",
		Wishes: news.Wishes{Preference: news.Preference{Regions: []string{"035", "JP"}, Muted: []string{"SG"}, Sections: []string{"culture"}, Level: news.LevelNotice},
			Language: "ja", Timezone: "Asia/Tokyo"},
		Consent:   news.Consent{TextVersion: consentText, Source: "api", RequestedAt: testNow},
		CreatedAt: testNow, ExpiresAt: testNow.Add(48 * time.Hour)}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if w := h.do("POST", "/api/v1/digests", `{"email":"a@b.example","regions":["JP"]}`, "Authorization", "Bearer nonsense"); w.Code != 401 {
		t.Errorf("with a bad token: %d", w.Code)
	}
}

func TestDigestSignupFaults(t *testing.T) {
	h := newHouse(t, nil)
	for body, path := range map[string]string{
		`{}`: "email regions",
		`{"email":"a@b.example","regions":["JP"],"hour":24,"days":[0],"weekly":1}`: "hour days weekly",
		`{"email":"a@b.example","regions":["JP"],"days":[]}`:                       "days",
		`{"email":"a@b.example","regions":["ZZ"],"timezone":"Mars/Olympus"}`:       "regions/0 timezone",
	} {
		if w := h.do("POST", "/api/v1/digests", body); w.Code != 400 || faults(t, w) != path {
			t.Errorf("%s: %d, want faults at %q", body, w.Code, path)
		}
	}
	if len(h.store.signups) != 0 {
		t.Error("something was stored")
	}
}

func TestT60_AddressesThatSmuggle(t *testing.T) {
	for _, bad := range []string{"", "a", "a@", "@b.example", "a@b", "a@b.example\r\nRCPT TO:<c@d>", "\"a> ORCPT=x\"@b.example", "a b@c.example", "<a@b.example>",
		"A <a@b.example>", "a@b@c.example", "a@[127.0.0.1]", "a@b.example.", "a..b@c.example", ".a@b.example", "ä@b.example", "a@-b.example",
		strings.Repeat("a", 65) + "@b.example", "a@" + strings.Repeat("b", 250) + ".example", "a@b.example,c@d.example", "a\x00@b.example"} {
		if got, fault := parseAddress(bad); fault == "" {
			t.Errorf("%q taken as %q", bad, got)
		}
	}
	for typed, want := range map[string]string{"Reader+News@Example.org": "reader+news@example.org", "o'hara@b-c.example": "o'hara@b-c.example", "a@münchen.example": "a@xn--mnchen-3ya.example"} {
		if got, fault := parseAddress(typed); got != want {
			t.Errorf("%q: %q %s", typed, got, fault)
		}
	}
}

func TestT72_KnownAndUnknownAddressesLookTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.DigestPause, c.Now = 250*time.Millisecond, time.Now })
		h.store.delay = func(address string) time.Duration {
			if strings.HasPrefix(address, "known") {
				return 40 * time.Millisecond
			}
			return time.Millisecond
		}
		var answers []string
		for _, address := range []string{"known@b.example", "unknown@b.example", "known@b.example"} {
			start := time.Now()
			w := h.do("POST", "/api/v1/digests", `{"email":"`+address+`","regions":["JP"]}`)
			answers = append(answers, fmt.Sprint(w.Code, w.Body, w.Header(), time.Since(start)))
		}
		if answers[0] != answers[1] || answers[1] != answers[2] || !strings.Contains(answers[0], "250ms") {
			t.Errorf("answers differ:\n%s", strings.Join(answers, "\n"))
		}
	})
}

func TestT73_SubscriptionBombing(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.SignupLimit = 50 })
	taken, refused := 0, 0
	for n := range 100 {
		switch w := h.do("POST", "/api/v1/digests", fmt.Sprintf(`{"email":"a%d@b.example","regions":["JP"]}`, n%60)); w.Code {
		case 202:
			taken++
		case 429:
			refused++
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if taken != 50 || refused != 50 {
		t.Errorf("%d taken, %d refused", taken, refused)
	}
	for address, n := range h.store.mails {
		if n > 1 {
			t.Errorf("%s: %d mails", address, n)
		}
	}
}

// The confirm page names the device that the mailbox will join, also one whose
// program sends no User-Agent, and before the press.
func TestConfirmPageNamesTheDevice(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	for agent, want := range map[string]string{
		"": "fcm.googleapis.com, since 24 Nov 2026", "curl/8": "fcm.googleapis.com, since 24 Nov 2026",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
	} {
		clear(h.store.signups)
		if w := h.do("POST", "/api/v1/digests", `{"email":"reader@example.org","regions":["JP"]}`,
			"Authorization", "Bearer "+c.Token, "User-Agent", agent); w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for id := range h.store.signups {
			if w := h.do("GET", h.path(link.Confirm, id), ""); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%q: %d, %q is not on the page: %s", agent, w.Code, want, w.Body)
			}
		}
	}
}

// TestDevicesAreNamedInThePagesLanguage: before the press, after it and on the page
// of the joined mailbox; with the date as the language writes it.
func TestDevicesAreNamedInThePagesLanguage(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe("subscription", subscription("https://updates.push.services.mozilla.com/wpush/v2/abc", goodP256dh, goodAuth))
	ask := func(agent string) (path string) {
		clear(h.store.signups)
		clear(h.store.boxes)
		if w := h.do("POST", "/api/v1/digests", `{"email":"reader@example.org","regions":["JP"]}`, "Authorization", "Bearer "+c.Token, "User-Agent", agent); w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for id := range h.store.signups {
			path = h.path(link.Confirm, id)
		}
		return path
	}
	day := map[string]string{"en": "24 Nov 2026", "ja": "2026年11月24日", "zh-Hans": "2026年11月24日", "zh-Hant": "2026年11月24日", "ko": "2026년 11월 24일",
		"hi": "24 नव॰ 2026", "id": "24 Nov 2026", "th": "24 พ.ย. 2026", "vi": "24 thg 11, 2026", "ar": "24 نوفمبر 2026", "ur": "24 نومبر 2026"}
	for _, lang := range languages() {
		for _, agent := range []string{"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", ""} {
			path := ask(agent)
			pages := map[string]string{"before": h.do("GET", path+"?lang="+lang, "").Body.String(), "after": h.form(path+"?lang="+lang, "").Body.String()}
			for id := range h.store.boxes {
				pages["joined"] = h.do("GET", h.path(link.ManageMailbox, id)+"?lang="+lang, "").Body.String()
			}
			for name, page := range pages {
				want := "Firefox"
				if name == "joined" || agent == "" {
					want = day[lang]
				}
				if !strings.Contains(page, want) || !strings.Contains(page, "Firefox") || strings.Contains(page, "2026-11-24") || lang != "en" && strings.Contains(page, " on Linux") {
					t.Errorf("%s %s %q: lacks %s", lang, name, agent, want)
				}
			}
		}
	}
}

func TestDeviceLabelSaysNothingThatWasSent(t *testing.T) {
	for agent, want := range map[string]string{
		"": "", "<script>alert(1)</script>": "", "curl/8": "",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1":   "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                              "Chrome on Android",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0 <b>evil</b>": "Edge on Windows",
	} {
		if got := deviceLabel(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}
