package simulate

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dateline/internal/news"
)

// Notification is what a phone shows.
type Notification struct {
	Title, Body, Navigate string
	Lang, Dir, Tag        string
	Icon, Image           string
	Timestamp             int64
	Silent, Renotify      bool
	RequireInteraction    bool
	Alert                 string
	Revision              int
	Level                 string
	Regions               []string
	Receipt               string
	At                    time.Time // when it was shown first, in this revision
	Repeats               int       // how often the same revision came again
}

// Effect is what a message made of a phone's screen.
type Effect string

// The effects. Only Shown and Replaced make the phone speak up.
const (
	Shown      Effect = "shown"      // a new notification
	Replaced   Effect = "replaced"   // a newer revision took an older one's place
	Repeated   Effect = "repeated"   // the revision that is on the screen came again
	Stale      Effect = "stale"      // an older revision came late; the newer one stays
	Unreadable Effect = "unreadable" // decrypted, but not a notification of ours
	Undecoded  Effect = "undecoded"  // could not be decrypted: nothing is shown
	Queued     Effect = "queued"     // the phone is offline; the service keeps it
	Discarded  Effect = "discarded"  // the phone is offline and TTL is 0
	Sealed     Effect = "sealed"     // taken unread, as PushOptions.Unread asks
)

// Delivery is one message as a phone took it.
type Delivery struct {
	At           time.Time
	Effect       Effect
	Notification Notification // zero when unreadable or undecoded
	Payload      []byte       // decrypted; nil when undecoded
	Topic        string
	Urgency      string
	TTL          int
}

// Phone is one browser with one subscription.
type Phone struct {
	service *PushService
	id      string
	private *ecdh.PrivateKey
	auth    []byte
	posts   atomic.Int64

	mu       sync.Mutex
	live     []Notification // one per tag; those without a tag each for itself
	received []Delivery
	queue    []message
	offline  bool
	gone     bool
}

func newPhone(s *PushService) (*Phone, error) {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("simulate.NewPhone: key: %w", err)
	}
	var secrets [32]byte
	if _, err := rand.Read(secrets[:]); err != nil {
		return nil, fmt.Errorf("simulate.NewPhone: random: %w", err)
	}
	return &Phone{service: s, id: base64.RawURLEncoding.EncodeToString(secrets[:16]), private: private,
		auth: slices.Clone(secrets[16:])}, nil
}

// ID is the endpoint's id, as the request log names it.
func (p *Phone) ID() string { return p.id }

// Endpoint is the URL to post to.
func (p *Phone) Endpoint() string { return p.service.origin + p.service.opts.Path + p.id }

// Service is where the phone is subscribed.
func (p *Phone) Service() *PushService { return p.service }

// Subscription is what the browser hands over.
func (p *Phone) Subscription() news.PushSubscription {
	return news.PushSubscription{Endpoint: p.Endpoint(), P256dh: p.private.PublicKey().Bytes(), Auth: slices.Clone(p.auth)}
}

// Unsubscribe makes every later message to the endpoint 410.
func (p *Phone) Unsubscribe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone, p.queue = true, nil
}

// Subscribe undoes Unsubscribe, same endpoint and keys.
func (p *Phone) Subscribe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = false
}

// Shown lists what is on the screen, oldest first.
func (p *Phone) Shown() []Notification {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.live)
}

// Received lists every message that reached the phone, in order.
func (p *Phone) Received() []Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.received)
}

// GoOffline lets the service keep messages: the newest of each Topic.
func (p *Phone) GoOffline() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offline = true
}

// GoOnline delivers what the service kept and what has not expired.
func (p *Phone) GoOnline() {
	p.mu.Lock()
	queue := p.queue
	p.offline, p.queue = false, nil
	var deliveries []Delivery
	now := p.service.opts.Now()
	for _, m := range queue {
		if now.Before(m.at.Add(time.Duration(m.ttl) * time.Second)) {
			deliveries = append(deliveries, p.deliver(m))
		}
	}
	p.mu.Unlock()
	p.announce(deliveries)
	p.service.wake()
}

// accept takes a message for the phone; false when the subscription is gone.
func (p *Phone) accept(m message, line *logLine) bool {
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		return false
	}
	if p.service.opts.Unread {
		line.Effect = Sealed
		p.mu.Unlock()
		return true
	}
	if p.offline {
		line.Effect = p.keep(m)
		p.mu.Unlock()
		return true
	}
	d := p.deliver(m)
	p.mu.Unlock()
	line.Effect, line.Alert, line.Tag, line.Revision = d.Effect, d.Notification.Alert, d.Notification.Tag, d.Notification.Revision
	p.announce([]Delivery{d})
	return true
}

// keep queues a message for an offline phone (RFC 8030 5.2, 5.4); p.mu is held.
func (p *Phone) keep(m message) Effect {
	if m.ttl == 0 {
		return Discarded
	}
	if m.topic != "" {
		p.queue = slices.DeleteFunc(p.queue, func(q message) bool { return q.topic == m.topic })
	}
	p.queue = append(p.queue, m)
	return Queued
}

// deliver decrypts and shows a message; p.mu is held.
func (p *Phone) deliver(m message) Delivery {
	d := Delivery{At: p.service.opts.Now().UTC(), Topic: m.topic, Urgency: m.urgency, TTL: m.ttl, Effect: Undecoded}
	if payload, err := decrypt(p.private, p.auth, m.body); err == nil {
		d.Payload, d.Effect = slices.Clone(payload), Unreadable // without the padding's room
		if n, ok := readNotification(payload); ok {
			n.At = d.At
			d.Notification, d.Effect = n, p.show(n)
		}
	}
	p.received = append(p.received, d)
	return d
}

// show is the worker's rule: one notification per tag, the newest revision.
func (p *Phone) show(n Notification) Effect {
	i := slices.IndexFunc(p.live, func(l Notification) bool { return n.Tag != "" && l.Tag == n.Tag })
	switch {
	case i < 0:
		p.live = append(p.live, n)
		return Shown
	case n.Revision > p.live[i].Revision:
		p.live = append(slices.Delete(p.live, i, i+1), n)
		return Replaced
	case n.Revision == p.live[i].Revision:
		p.live[i].Repeats++
		return Repeated
	}
	return Stale
}

func (p *Phone) announce(deliveries []Delivery) {
	if p.service.opts.OnShown == nil {
		return
	}
	for _, d := range deliveries {
		p.service.opts.OnShown(p, d)
	}
}

// readNotification reads a payload in the form of Declarative Web Push.
func readNotification(payload []byte) (Notification, bool) {
	var wire struct {
		WebPush      int `json:"web_push"`
		Notification struct {
			Title              string `json:"title"`
			Body               string `json:"body"`
			Navigate           string `json:"navigate"`
			Lang               string `json:"lang"`
			Dir                string `json:"dir"`
			Tag                string `json:"tag"`
			Icon               string `json:"icon"`
			Image              string `json:"image"`
			Timestamp          int64  `json:"timestamp"`
			Silent             bool   `json:"silent"`
			Renotify           bool   `json:"renotify"`
			RequireInteraction bool   `json:"requireInteraction"`
			Data               struct {
				Alert    string   `json:"alert"`
				Revision int      `json:"revision"`
				Level    string   `json:"level"`
				Regions  []string `json:"regions"`
				Receipt  string   `json:"receipt"`
			} `json:"data"`
		} `json:"notification"`
	}
	if json.Unmarshal(payload, &wire) != nil || wire.WebPush != 8030 || wire.Notification.Title == "" {
		return Notification{}, false
	}
	n := wire.Notification
	return Notification{Title: n.Title, Body: n.Body, Navigate: n.Navigate, Lang: n.Lang, Dir: n.Dir, Tag: n.Tag,
		Icon: n.Icon, Image: n.Image, Timestamp: n.Timestamp, Silent: n.Silent, Renotify: n.Renotify,
		RequireInteraction: n.RequireInteraction, Alert: n.Data.Alert, Revision: n.Data.Revision, Level: n.Data.Level,
		Regions: n.Data.Regions, Receipt: n.Data.Receipt}, true
}
