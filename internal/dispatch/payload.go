package dispatch

import (
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
)

// Bounds of a push message (DESIGN 9).
const (
	maxPlaintext   = 1_500  // bytes of JSON
	receiptSamples = 20_000 // messages of an alert that carry a receipt token
)

// payloadLinks signs what a payload carries.
type payloadLinks interface {
	Tag(storyURI string) string
	Receipt(r link.Receipt, expires time.Time) string
}

// notification is DESIGN 9's payload, which is also a Declarative Web Push
// message (WebKit: "web_push": 8030 marks it).
type notification struct {
	WebPush      int   `json:"web_push"`
	Mutable      bool  `json:"mutable"`
	Notification shown `json:"notification"`
}

type shown struct {
	Title              string    `json:"title"`
	Body               string    `json:"body"`
	Navigate           string    `json:"navigate"`
	Lang               string    `json:"lang"`
	Dir                string    `json:"dir"`
	Tag                string    `json:"tag"`
	Icon               string    `json:"icon"`
	Image              string    `json:"image,omitempty"`
	Timestamp          int64     `json:"timestamp"` // ms since 1970 (Notifications API)
	Silent             bool      `json:"silent"`
	Renotify           bool      `json:"renotify"`
	RequireInteraction bool      `json:"requireInteraction"`
	Mutable            bool      `json:"mutable"`
	Data               shownData `json:"data"`
}

type shownData struct {
	Alert    string   `json:"alert"`
	Revision int      `json:"revision"`
	Level    string   `json:"level"`
	Regions  []string `json:"regions"`
	Receipt  string   `json:"receipt,omitempty"`
}

// payloads makes the messages of one release. What does not differ between
// devices is made once per language.
type payloads struct {
	release *news.Release
	baseURL string
	raised  bool   // a higher level of a story already alerted
	sample  uint32 // of 2^32: the share of devices whose message carries a receipt token

	mu         sync.Mutex
	byLanguage map[string]notification // by the reader's language
}

func newPayloads(r *news.Release, baseURL string, raised bool) *payloads {
	return &payloads{release: r, baseURL: strings.TrimSuffix(baseURL, "/"), raised: raised,
		sample: ^uint32(0), byLanguage: map[string]notification{}}
}

// sampleOf sets the share for a plan of n devices.
func (p *payloads) sampleOf(n int) {
	if n > receiptSamples {
		p.sample = uint32(float64(^uint32(0)) * receiptSamples / float64(n))
	}
}

// message is what one device is sent.
func (p *payloads) message(o order, links payloadLinks) push.Message {
	n := p.in(o.device.Wishes.Language, links)
	to := news.DeviceRef{Cell: o.device.Cell, Number: o.device.Number}
	if o.more > 0 {
		n.Notification.Body = strings.TrimSpace(n.Notification.Body + " " + andMore(n.Notification.Lang, o.more))
		n.Notification.Navigate = p.baseURL + "/alerts"
	}
	if p.sampled(to) {
		n.Notification.Data.Receipt = links.Receipt(link.Receipt{AlertID: p.release.AlertID,
			Revision: p.release.Revision, Cell: to.Cell, Number: to.Number}, p.release.ReleasedAt.Add(link.ReceiptFor))
	}
	urgency := "high"
	if p.release.Level == news.LevelNotice && !p.release.Repair() {
		urgency = "normal"
	}
	return push.Message{Payload: fit(n), TTL: max(1, int(o.ttl/time.Second)), Urgency: urgency, Topic: n.Notification.Tag}
}

// sampled picks devices evenly, and the same ones at each retry.
func (p *payloads) sampled(to news.DeviceRef) bool {
	h := fnv.New32a()
	h.Write([]byte(p.release.ID))
	h.Write([]byte{byte(to.Cell), byte(to.Number >> 24), byte(to.Number >> 16), byte(to.Number >> 8), byte(to.Number)})
	return h.Sum32() <= p.sample
}

func (p *payloads) in(language string, links payloadLinks) notification {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.byLanguage[language]; ok {
		return n
	}
	n := p.build(language, links)
	p.byLanguage[language] = n
	return n
}

func (p *payloads) build(language string, links payloadLinks) notification {
	r := p.release
	have := make([]string, 0, len(r.Texts))
	for l := range r.Texts {
		have = append(have, l)
	}
	lang := news.PickLanguage(language, have, r.Language)
	text, ok := r.Texts[lang]
	if !ok { // an alert always has at least one text
		for lang, text = range r.Texts {
			break
		}
	}
	return notification{WebPush: 8030, Mutable: true, Notification: shown{
		Title: text.Title, Body: text.Body, Navigate: r.Navigate, Lang: lang, Dir: direction(lang),
		Tag: links.Tag(r.StoryURI), Icon: p.baseURL + "/icons/192.png", Image: r.Image,
		Timestamp: r.ReleasedAt.UnixMilli(), Silent: false,
		Renotify:           r.Repair() || p.raised,
		RequireInteraction: r.Level == news.LevelFlash || r.Kind == news.ReleaseKill,
		Mutable:            true,
		Data:               shownData{Alert: r.AlertID, Revision: r.Revision, Level: r.Level.String(), Regions: r.Regions},
	}}
}

// fit makes the JSON, shortened until it is within maxPlaintext: the picture
// goes first, then the list of regions, then the end of the body, cut between
// graphemes, then the end of the title.
func fit(n notification) []byte {
	raw := marshal(n)
	if len(raw) > maxPlaintext {
		n.Notification.Image = ""
		raw = marshal(n)
	}
	if len(raw) > maxPlaintext && len(n.Notification.Data.Regions) > 5 {
		n.Notification.Data.Regions = n.Notification.Data.Regions[:5]
		raw = marshal(n)
	}
	for _, part := range []*string{&n.Notification.Body, &n.Notification.Title} {
		for len(raw) > maxPlaintext && *part != "" && *part != "…" {
			*part = shorten(*part, len(raw)-maxPlaintext)
			raw = marshal(n)
		}
	}
	return raw
}

// marshal never escapes <, > and &: the text is plain and each escape costs
// five bytes of 1,500.
func marshal(n notification) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(n); err != nil { // strings and numbers only: cannot fail
		return nil
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// shorten cuts at least `over` bytes off the end, between graphemes, and marks
// the cut.
func shorten(s string, over int) string {
	keep := len(strings.TrimSuffix(s, "…")) - over - len("…")
	end, graphemes := 0, uniseg.NewGraphemes(s)
	for graphemes.Next() {
		_, to := graphemes.Positions()
		if to > keep {
			break
		}
		end = to
	}
	return strings.TrimSpace(s[:end]) + "…"
}

// direction is the writing direction of a language.
func direction(lang string) string {
	base, _, _ := strings.Cut(lang, "-")
	switch base {
	case "ar", "fa", "he", "ur", "ps", "sd", "ug", "dv", "yi", "ckb":
		return "rtl"
	}
	return "ltr"
}

// andMore is the end of the one notification that stands for several held
// back in quiet hours.
func andMore(lang string, n int) string {
	words, ok := moreWords[news.PickLanguage(lang, moreLanguages, "en")]
	if !ok {
		words = moreWords["en"]
	}
	return strings.ReplaceAll(words, "#", strconv.Itoa(n))
}

var moreLanguages = []string{"en", "ja", "zh-Hans", "zh-Hant", "ko", "hi", "ar", "ur", "th", "id", "vi", "fa", "ru"}

var moreWords = map[string]string{
	"en": "(and # more)", "ja": "（ほか#件）", "zh-Hans": "（另有#条）", "zh-Hant": "（另有#則）", "ko": "(외 #건)",
	"hi": "(और # अन्य)", "ar": "(و# أخرى)", "ur": "(اور # مزید)", "th": "(และอีก # ข่าว)", "id": "(dan # lainnya)",
	"vi": "(và # tin khác)", "fa": "(و # خبر دیگر)", "ru": "(и ещё #)",
}
