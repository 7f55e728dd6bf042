package dispatch

import (
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rivo/uniseg"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
)

// Bounds of a push message (DESIGN 9).
const (
	maxPlaintext   = push.MaxPlaintext
	receiptSamples = 20_000 // messages of an alert that carry a receipt token
)

// payloadLinks signs what a payload carries.
type payloadLinks interface {
	Tag(storyURI string) string
	Receipt(r link.Receipt, expires time.Time) string
}

// payloads makes the messages of one release. What does not differ between
// devices is made once per text.
type payloads struct {
	release *news.Release
	baseURL string
	mark    string        // before every title
	raised  bool          // a higher level of a story already alerted
	unasked bool          // nobody is asked for a receipt (no tracking)
	seed    uint32        // of the sample's draw
	sample  atomic.Uint32 // of 2^32: the share of devices whose message carries a receipt token

	mu     sync.Mutex
	picked map[string]string   // the text's language by the reader's
	made   map[string]*wording // by the text's language
}

func newPayloads(r *news.Release, baseURL string, raised bool) *payloads {
	h := fnv.New32a()
	h.Write([]byte(r.ID))
	p := &payloads{release: r, seed: h.Sum32(), baseURL: strings.TrimSuffix(baseURL, "/"), raised: raised,
		picked: map[string]string{}, made: map[string]*wording{}}
	p.sample.Store(math.MaxUint32)
	return p
}

// sampleOf sets the share for a plan of n devices. The sample is drawn by a
// hash, so its size varies: 500 is three and a half standard deviations.
func (p *payloads) sampleOf(n int) {
	share := 1.0
	if n > receiptSamples {
		share = float64(receiptSamples-500) / float64(n)
	}
	p.sample.Store(uint32(share * math.MaxUint32))
}

// message is what one device is sent, in the language its reader asked for.
func (p *payloads) message(o order, to news.DeviceRef, language string, links payloadLinks) push.Message {
	urgency := "high"
	if p.release.Level == news.LevelNotice && !p.release.Repair() {
		urgency = "normal"
	}
	w := p.in(language, links)
	raw := w.plain[o.repeat]
	receipt := ""
	if !p.unasked && p.sampled(to) {
		receipt = links.Receipt(link.Receipt{AlertID: p.release.AlertID, Revision: p.release.Revision, Cell: to.Cell, Number: to.Number},
			p.release.ReleasedAt.Add(link.ReceiptFor))
	}
	if o.more > 0 || receipt != "" {
		raw = p.render(w.payload, o, receipt)
	}
	return push.Message{Payload: raw, TTL: max(1, int(o.ttl/time.Second)), Urgency: urgency, Topic: w.payload.Notification.Tag}
}

// render makes the JSON of one message.
func (p *payloads) render(n push.Payload, o order, receipt string) []byte {
	more := ""
	if o.more > 0 {
		more = andMore(n.Notification.Lang, o.more)
		n.Notification.Navigate = p.baseURL + "/alerts"
	}
	// A repeat of what she may have seen must not sound again.
	n.Notification.Renotify = n.Notification.Renotify && !o.repeat
	n.Notification.Data.Receipt = receipt
	return p.fit(n, more)
}

// sampled picks devices evenly, and the same ones at each retry: by FNV-1a, which
// needs no memory.
func (p *payloads) sampled(to news.DeviceRef) bool {
	h := p.seed
	for _, b := range [5]byte{byte(to.Cell), byte(to.Number >> 24), byte(to.Number >> 16), byte(to.Number >> 8), byte(to.Number)} {
		h = (h ^ uint32(b)) * 16_777_619
	}
	return h <= p.sample.Load()
}

// mostLanguages bounds what is remembered of readers' languages: they are
// strangers' words.
const mostLanguages = 1_000

// wording is an alert in one language.
type wording struct {
	payload push.Payload
	plain   map[bool][]byte // what all are sent but the few who are asked for a receipt; true: a repeat
}

func (p *payloads) in(language string, links payloadLinks) *wording {
	p.mu.Lock()
	defer p.mu.Unlock()
	lang, known := p.picked[language]
	if !known {
		lang = p.pick(language)
		if len(p.picked) >= mostLanguages {
			clear(p.picked)
		}
		p.picked[language] = lang
	}
	w := p.made[lang]
	if w == nil {
		n := p.build(lang, links)
		w = &wording{n, map[bool][]byte{false: p.render(n, order{}, ""), true: p.render(n, order{repeat: true}, "")}}
		p.made[lang] = w
	}
	return w
}

// pick is the language of the text a reader gets.
func (p *payloads) pick(language string) string {
	have := slices.Sorted(maps.Keys(p.release.Texts))
	lang := news.PickLanguage(language, have, p.release.Language)
	if _, ok := p.release.Texts[lang]; !ok && len(have) > 0 { // an alert always has at least one text
		return have[0]
	}
	return lang
}

func (p *payloads) build(lang string, links payloadLinks) push.Payload {
	r := p.release
	text := r.Texts[lang]
	return push.Payload{WebPush: push.Declarative, Mutable: true, Notification: push.Notification{
		Title: p.mark + text.Title, Body: text.Body, Navigate: r.Navigate, Lang: lang, Dir: news.Direction(lang),
		Tag: links.Tag(r.StoryURI), Icon: p.baseURL + "/icons/192.png", Image: r.Image,
		Timestamp: r.ReleasedAt.UnixMilli(), Silent: false,
		Renotify:           r.Repair() || p.raised,
		RequireInteraction: r.Level == news.LevelFlash || r.Kind == news.ReleaseKill,
		Mutable:            true,
		Data: push.Data{Alert: r.AlertID, Revision: r.Revision, Level: r.Level.String(),
			Final: r.Final || r.Kind == news.ReleaseKill, Regions: append([]string{}, r.Regions...)},
	}}
}

// Parts of a message that give way before its words do.
const (
	someRegions  = 5
	longNavigate = 300 // bytes; our own page of the alert is shorter
)

// fit makes the JSON, shortened until it is within maxPlaintext: the picture
// goes first, then the list of regions, then a long link for the one to our own
// page, then the end of the body, cut between graphemes, then that of the
// title. more is said at the end of the body, and stays.
func (p *payloads) fit(n push.Payload, more string) []byte {
	shown := &n.Notification
	body := shown.Body
	render := func() []byte {
		shown.Body = strings.TrimSpace(body + " " + more)
		return n.JSON()
	}
	raw := render()
	for _, give := range []func(){
		func() { shown.Image = "" },
		func() { shown.Data.Regions = shown.Data.Regions[:min(someRegions, len(shown.Data.Regions))] },
		func() {
			if len(shown.Navigate) > longNavigate {
				shown.Navigate = p.baseURL + "/alerts/" + shown.Data.Alert
			}
		},
	} {
		if len(raw) > maxPlaintext {
			give()
			raw = render()
		}
	}
	for _, part := range []*string{&body, &shown.Title} {
		for len(raw) > maxPlaintext && *part != "" && *part != "…" {
			*part = shorten(*part, len(raw)-maxPlaintext)
			raw = render()
		}
	}
	return raw
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

// andMore is the end of the one notification that stands for several held
// back in quiet hours.
func andMore(lang string, n int) string {
	words := map[string]string{
		"en": "(and # more)", "ja": "（ほか#件）", "zh-Hans": "（另有#条）", "zh-Hant": "（另有#則）", "ko": "(외 #건)",
		"hi": "(और # अन्य)", "ar": "(و# أخرى)", "ur": "(اور # مزید)", "th": "(และอีก # ข่าว)", "id": "(dan # lainnya)",
		"vi": "(và # tin khác)", "fa": "(و # خبر دیگر)", "ru": "(и ещё #)",
	}
	picked := news.PickLanguage(lang, slices.Sorted(maps.Keys(words)), "en")
	return strings.ReplaceAll(words[picked], "#", strconv.Itoa(n))
}
