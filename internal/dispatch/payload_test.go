package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/push"
)

func testRelease() *news.Release {
	return &news.Release{ID: "release", AlertID: "0190f2f0-0000-7000-8000-000000000001", StoryURI: "https://news.example/s", Revision: 3,
		Kind: news.ReleaseAlert, Level: news.LevelBulletin, Language: "en",
		Texts: map[string]news.Text{"en": {Title: "Quake off <Honshu> & tsunami", Body: "Leave the coast."},
			"ja": {Title: "津波警報", Body: "海岸から離れてください。"}, "ar": {Title: "زلزال", Body: "ابتعدوا"}},
		Regions: []string{"JP", "035"}, Navigate: "https://news.example/s?x=1&y=2", Image: "https://news.example/p.jpg",
		ReleasedAt: time.UnixMilli(1_707_267_600_123)}
}

// to is the message for a reader of a language.
func (p *payloads) to(language string) push.Message {
	return p.ordered(language, order{})
}

func (p *payloads) ordered(language string, o order) push.Message {
	o.ttl = time.Hour
	return p.message(o, news.DeviceRef{Cell: 7, Number: 42}, language, testLinks)
}

// DESIGN 9's payload, to the letter.
func TestPayload(t *testing.T) {
	p := newPayloads(testRelease(), "https://alerts.example/", false)
	m := p.to("ja-JP")
	var got map[string]any
	if err := json.Unmarshal(m.Payload, &got); err != nil {
		t.Fatal(err)
	}
	receipt, _ := got["notification"].(map[string]any)["data"].(map[string]any)["receipt"].(string)
	if r, err := testLinks.VerifyReceipt(receipt, time.UnixMilli(1_707_267_600_123)); err != nil || r.Cell != 7 || r.Number != 42 || r.Revision != 3 {
		t.Errorf("the receipt says %+v, %v", r, err)
	}
	tag := testLinks.Tag("https://news.example/s")
	want := map[string]any{"web_push": 8030.0, "mutable": true, "notification": map[string]any{
		"title": "津波警報", "body": "海岸から離れてください。", "navigate": "https://news.example/s?x=1&y=2", "lang": "ja", "dir": "ltr",
		"tag": tag, "icon": "https://alerts.example/icons/192.png", "image": "https://news.example/p.jpg", "timestamp": 1_707_267_600_123.0,
		"silent": false, "renotify": false, "requireInteraction": false, "mutable": true,
		"data": map[string]any{"alert": "0190f2f0-0000-7000-8000-000000000001", "revision": 3.0, "level": "bulletin",
			"regions": []any{"JP", "035"}, "receipt": receipt}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if m.Topic != tag || len(tag) != 32 || m.TTL != 3600 || m.Urgency != "high" {
		t.Errorf("topic %q, TTL %d, urgency %q", m.Topic, m.TTL, m.Urgency)
	}
	if !strings.Contains(string(p.to("en").Payload), "<Honshu> &") {
		t.Error("the text is escaped: five bytes for each sign")
	}
}

// Without tracking no message asks its device for anything.
func TestPayloadWithoutTracking(t *testing.T) {
	p := newPayloads(testRelease(), "https://alerts.example/", false)
	p.unasked = true
	if m := p.to("en"); strings.Contains(string(m.Payload), "receipt") {
		t.Errorf("%s", m.Payload)
	}
	r := testRelease()
	r.Final = true
	if n := decode(newPayloads(r, "", false).to("en").Payload); !n.Notification.Data.Final {
		t.Error("the worker is not told that this is the story's last")
	}
}

func TestPayloadOfEachKind(t *testing.T) {
	for name, c := range map[string]struct {
		change              func(*news.Release)
		raised, repeat      bool
		renotify, interacts bool
		urgency             string
	}{
		"bulletin":            {func(*news.Release) {}, false, false, false, false, "high"},
		"flash":               {func(r *news.Release) { r.Level = news.LevelFlash }, false, false, false, true, "high"},
		"notice":              {func(r *news.Release) { r.Level = news.LevelNotice }, false, false, false, false, "normal"},
		"raised":              {func(r *news.Release) { r.Level = news.LevelFlash }, true, false, true, true, "high"},
		"correction":          {func(r *news.Release) { r.Kind = news.ReleaseCorrection }, false, false, true, false, "high"},
		"kill":                {func(r *news.Release) { r.Kind = news.ReleaseKill }, false, false, true, true, "high"},
		"kill of a notice":    {func(r *news.Release) { r.Kind, r.Level = news.ReleaseKill, news.LevelNotice }, false, false, true, true, "high"},
		"correction, a retry": {func(r *news.Release) { r.Kind = news.ReleaseCorrection }, false, true, false, false, "high"},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRelease()
			c.change(r)
			m := newPayloads(r, "https://alerts.example", c.raised).ordered("en", order{repeat: c.repeat})
			n := decode(m.Payload).Notification
			if n.Renotify != c.renotify || n.RequireInteraction != c.interacts || m.Urgency != c.urgency {
				t.Errorf("renotify %v, requireInteraction %v, urgency %q", n.Renotify, n.RequireInteraction, m.Urgency)
			}
			if n.Data.Final != (r.Kind == news.ReleaseKill) {
				t.Errorf("nothing to mute any more: %v", n.Data.Final)
			}
		})
	}
}

// A drill's word stands before every title, in every language, and gives way to
// nothing.
func TestPayloadBearsItsMark(t *testing.T) {
	r := testRelease()
	r.Texts["en"] = news.Text{Title: strings.Repeat("long ", 400), Body: strings.Repeat("longer ", 400)}
	p := newPayloads(r, "https://alerts.example", false)
	p.mark = "DRILL · "
	for _, reader := range []string{"en", "ja", "ar", ""} {
		m := p.to(reader)
		if n := decode(m.Payload).Notification; !strings.HasPrefix(n.Title, "DRILL · ") || len(m.Payload) > maxPlaintext {
			t.Errorf("%q: %d bytes, %q", reader, len(m.Payload), n.Title)
		}
	}
}

func TestPayloadPicksTheText(t *testing.T) {
	p := newPayloads(testRelease(), "https://alerts.example", false)
	for reader, want := range map[string]string{"ja": "ja ltr", "en-GB": "en ltr", "ar-EG": "ar rtl", "": "en ltr", "xx-nonsense-": "en ltr"} {
		n := decode(p.to(reader).Payload).Notification
		if got := n.Lang + " " + n.Dir; got != want {
			t.Errorf("%q reads %s, want %s", reader, got, want)
		}
	}
	for i := range 3 * mostLanguages {
		p.to(fmt.Sprintf("x-%d", i))
	}
	if len(p.picked) > mostLanguages || len(p.made) > 3 {
		t.Errorf("%d languages of readers and %d messages are kept", len(p.picked), len(p.made))
	}
	r := testRelease()
	r.Texts, r.Language = map[string]news.Text{"ko": {Title: "지진"}}, "en"
	if n := decode(newPayloads(r, "", false).to("fr").Payload); n.Notification.Title != "지진" {
		t.Errorf("without a text in its own language the alert says %q", n.Notification.Title)
	}
}

func TestPayloadFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := testRelease()
		text := rapid.StringOfN(rapid.SampledFrom([]rune("aé津क्षि\"\\👨‍👩‍👧\n")), 0, 900, -1)
		r.Texts = map[string]news.Text{"en": {Title: text.Draw(t, "title"), Body: text.Draw(t, "body")}}
		r.Regions = slices.Repeat([]string{"JP-13"}, rapid.IntRange(0, 100).Draw(t, "regions"))
		r.Navigate = "https://news.example/" + strings.Repeat("x", rapid.IntRange(0, 3000).Draw(t, "link"))
		o := order{more: rapid.IntRange(0, 12).Draw(t, "more")}
		raw := newPayloads(r, "https://alerts.example", false).ordered("en", o).Payload
		if len(raw) > maxPlaintext || !utf8.Valid(raw) {
			t.Fatalf("%d bytes, valid %v", len(raw), utf8.Valid(raw))
		}
		n := decode(raw).Notification
		if o.more > 0 && !strings.HasSuffix(n.Body, fmt.Sprintf("(and %d more)", o.more)) {
			t.Fatalf("the body ends in %q", n.Body)
		}
		if !strings.HasPrefix(n.Navigate, "https://") || n.Title == "" && r.Texts["en"].Title != "" {
			t.Fatalf("navigate %q, title %q", n.Navigate, n.Title)
		}
	})
}

// At most 20,000 messages of an alert carry a receipt; all when there are fewer.
func TestReceiptSample(t *testing.T) {
	for _, devices := range []int{1, 19_999, 20_000, 20_001, 60_000, 400_000} {
		r := testRelease()
		r.ID = fmt.Sprintf("release of %d", devices)
		p := newPayloads(r, "", false)
		p.sampleOf(devices)
		n := 0
		for i := range devices {
			if p.sampled(news.DeviceRef{Cell: i % news.Cells, Number: uint32(i / news.Cells)}) {
				n++
			}
		}
		if n > receiptSamples || devices <= receiptSamples && n != devices || devices > receiptSamples && n < receiptSamples*9/10 {
			t.Errorf("%d of %d devices carry a receipt", n, devices)
		}
	}
}

func TestAndMoreInEveryLanguageItKnows(t *testing.T) {
	seen := map[string]bool{}
	for _, lang := range []string{"en", "ja", "zh-Hans", "zh-Hant", "ko", "hi", "ar", "ur", "th", "id", "vi", "fa", "ru"} {
		words := andMore(lang, 3)
		if seen[words] || !strings.Contains(words, "3") {
			t.Errorf("%s: %q", lang, words)
		}
		seen[words] = true
	}
	if andMore("tlh", 2) != "(and 2 more)" {
		t.Error("an unknown language has no words")
	}
}
