package dispatch

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/app/newsroom"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/simulate"
)

// dayPayloads are the messages of the newsroom's day, each in all its languages,
// with a receipt token in every fiftieth, as an alert to a million has.
func dayPayloads(t *testing.T) (payloads [][]byte, languages []string) {
	t.Helper()
	entries, err := newsroom.Day()
	if err != nil {
		t.Fatal(err)
	}
	links := link.New(make([]byte, 32))
	for _, e := range entries {
		var s struct {
			URI, Headline, Standfirst, URL, Language string
			Image                                    struct{ URL string }
			Regions                                  []string
			Translations                             map[string]struct{ Headline, Standfirst string }
		}
		if err := json.Unmarshal(e.Story, &s); err != nil {
			t.Fatal(err)
		}
		s.Language = strings.TrimSpace(s.Language + " en")[:2]
		texts := map[string]news.Text{s.Language: {Title: s.Headline, Body: s.Standfirst}}
		for language, text := range s.Translations {
			texts[language] = news.Text{Title: text.Headline, Body: text.Standfirst}
		}
		r := news.Release{ID: "01a22d38-d0ec-7b42-ac8d-065b1733cb85", AlertID: "01a22d38-d0ec-7b42-ac8d-065b1733cb86", StoryURI: s.URI, Revision: 1, Kind: news.ReleaseAlert,
			Level: news.LevelBulletin, Texts: texts, Language: s.Language, Navigate: s.URL, Image: s.Image.URL, Regions: s.Regions, ReleasedAt: time.Unix(1_790_000_000, 0)}
		p := newPayloads(&r, "https://alerts.news.example", false)
		p.sampleOf(1_000_000)
		for language := range texts {
			languages = append(languages, language)
			m := p.message(order{ttl: time.Hour}, news.DeviceRef{Cell: 7, Number: uint32(len(payloads))}, language, links)
			payloads = append(payloads, m.Payload)
		}
	}
	slices.Sort(languages)
	return payloads, slices.Compact(languages)
}

// What a message has on the wire beyond its padded plaintext: TLS's records, HTTP/2's
// frames, the headers and the device's path, and what encryption adds. 400 bytes are
// allowed; an endpoint as long as Chrome's is 157 of them.
func TestBytesOnTheWire(t *testing.T) {
	payloads, languages := dayPayloads(t)
	authority, err := simulate.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	sink, err := simulate.NewSink(simulate.SinkOptions{Authority: authority})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	keys, err := push.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	sender, err := push.New(push.Config{Keys: keys, Subject: "https://news.example", Origins: []string{sink.Origin()}, RootCAs: authority.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	phone := someDevice(1, 1).Push
	phone.P256dh, err = base64.RawURLEncoding.DecodeString(keys.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 20 // so that what a connection costs at its beginning is a small part, as it is of a million
	padded, sent := 0, 0
	told := make(wired, 1024)
	for range rounds {
		for at := 0; at < len(payloads); {
			room, fault := sender.Reserve(t.Context(), sink.Origin(), len(payloads)-at)
			if fault != nil {
				t.Fatalf("%+v", *fault)
			}
			if room == nil {
				continue
			}
			var batch []push.Outgoing
			for _, p := range payloads[at : at+room.Places()] {
				to := push.Target{P256dh: phone.P256dh, Auth: phone.Auth, Endpoint: fmt.Sprintf("%s/fcm/send/c%010d:%s", sink.Origin(), sent, strings.Repeat("x1Yz_-9Q", 17))}
				batch = append(batch, push.Outgoing{To: to, Message: push.Message{Payload: p, TTL: 3600 - sent/3000, Urgency: "high", Topic: "0123456789abcdef0123456789abcdef"}})
				padded += push.PadTo(len(p))
				sent++
			}
			room.Send(t.Context(), batch, func(int, int) error { return nil }, told, nil)
			for range batch {
				if r := <-told; r.Outcome != news.Accepted {
					t.Fatalf("%+v", r)
				}
			}
			at += len(batch)
		}
	}
	taken, bytes := sink.Taken()
	each, plain := float64(bytes)/float64(taken), float64(padded)/float64(sent)
	t.Logf("%d messages of the day in %v: %.0f bytes each on the wire, %.0f of padded plaintext and %.0f more", len(payloads), languages, each, plain, each-plain)
	if int(taken) != sent || each-plain > 400 {
		t.Errorf("%d of %d came; %.0f bytes more than the padded plaintext, of at most 400", taken, sent, each-plain)
	}
}

// wired takes receipts.
type wired chan news.Receipt

func (w wired) Report(reports []push.Report) {
	for _, r := range reports {
		w <- r.Receipt
	}
}
