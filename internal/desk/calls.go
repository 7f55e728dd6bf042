package desk

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// Notifier calls editors to the desk. It never waits and never fails: what the
// desk did is done, whether anybody hears of it or not.
type Notifier interface {
	Notify(ctx context.Context, kind news.Call, a news.Alert, by string)
}

// nobody is called where there are no phones: on the command line, in a drill.
type nobody struct{}

func (nobody) Notify(context.Context, news.Call, news.Alert, string) {}

// callOf is what a step has to tell those who are not at the desk; "" for
// nothing.
func callOf(a news.Alert, action news.AlertAction) news.Call {
	switch {
	case action.Emergency != nil:
		return news.CallAlone
	case action.Ask:
		return news.CallApprove
	case a.State == news.AlertKilled:
		return news.CallKilled
	}
	return ""
}

// PhoneStore is where the phones of editors are kept.
type PhoneStore interface {
	AddPhone(ctx context.Context, p news.Phone, most int, session string) error
	Phones(ctx context.Context) ([]news.Phone, error)
	RemovePhone(ctx context.Context, editor, id string) error
	PhoneGone(ctx context.Context, id string) error
}

// PushSender hands one message to a push service; *push.Sender is one.
type PushSender interface {
	Send(ctx context.Context, t push.Target, m push.Message) news.Receipt
	CheckSubscription(sub news.PushSubscription) error
	PublicKey() string
}

const (
	// callTTL is how long a push service keeps a call: whoever turns her phone
	// on later finds the alert decided.
	callTTL = 15 * time.Minute
	// callsAtOnce are under way; those beyond are dropped: a flood of calls is
	// no call, and the desk's pages show everything.
	callsAtOnce = 16
	// askedAtOnce of them are of those that anybody at the desk can cause at will;
	// the rest is kept for what has happened: everyone is told who released alone.
	askedAtOnce = callsAtOnce / 2
	// callTries of one phone, and the longest wait between them, also when the
	// push service asks for a longer one.
	callTries = 3
	callWait  = 30 * time.Second
	// callFor bounds one call to all phones, waits included.
	callFor = 2 * time.Minute
	// partingFor is how long Close waits for calls that are under way.
	partingFor = 3 * time.Second
)

// Caller is the Notifier that pushes to the phones.
type Caller struct {
	phones PhoneStore
	sender PushSender
	log    *slog.Logger
	slots  chan struct{}
	asked  chan struct{}   // in a slot, too
	ctx    context.Context //nolint:containedctx // of what outlives the request that asked for it
	cancel func()
	wg     sync.WaitGroup
}

// NewCaller makes one. Close it after the last step.
func NewCaller(phones PhoneStore, sender PushSender, log *slog.Logger) *Caller {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Caller{phones: phones, sender: sender, log: log.With("component", "desk"), slots: make(chan struct{}, callsAtOnce),
		asked: make(chan struct{}, askedAtOnce), ctx: ctx, cancel: cancel}
}

// Close lets calls that are under way end, for a moment.
func (c *Caller) Close() {
	ended := make(chan struct{})
	go func() { c.wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(partingFor):
	}
	c.cancel()
	<-ended
}

// Notify calls whom it concerns, beside what the caller does.
func (c *Caller) Notify(_ context.Context, kind news.Call, a news.Alert, by string) {
	leave, ok := c.enter(kind)
	if !ok {
		c.log.Warn("nobody is called: too many calls are under way", "kind", string(kind), "alert", a.ID)
		return
	}
	c.wg.Go(func() {
		defer leave()
		ctx, cancel := context.WithTimeout(c.ctx, callFor)
		defer cancel()
		c.call(ctx, kind, a, by)
	})
}

// enter takes a slot for a call, if one is free.
func (c *Caller) enter(kind news.Call) (leave func(), ok bool) {
	taken := []chan struct{}{c.slots}
	if kind == news.CallTest || kind == news.CallApprove {
		taken = []chan struct{}{c.asked, c.slots}
	}
	leave = func() {}
	for _, slots := range taken {
		select {
		case slots <- struct{}{}:
			before := leave
			leave = func() { <-slots; before() }
		default:
			leave()
			return nil, false
		}
	}
	return leave, true
}

func (c *Caller) call(ctx context.Context, kind news.Call, a news.Alert, by string) {
	phones, err := c.phones.Phones(ctx)
	if err != nil {
		c.log.Warn("nobody is called: the phones can't be read", "kind", string(kind), "alert", a.ID, "error", err)
		return
	}
	phones = slices.DeleteFunc(phones, func(p news.Phone) bool { return !concerns(kind, a, by, p) })
	m := callMessage(kind, a)
	var wg sync.WaitGroup
	for _, p := range phones {
		wg.Go(func() { c.ring(ctx, p, m) })
	}
	wg.Wait()
	c.log.Info("editors called", "kind", string(kind), "alert", a.ID, "phones", len(phones))
}

// concerns says who is called. To approve: whoever may, and neither wrote nor
// submitted it. Of what happened: everybody but who did it. A test: herself.
func concerns(kind news.Call, a news.Alert, by string, p news.Phone) bool {
	switch kind {
	case news.CallApprove:
		return p.Editor != a.Author && p.Editor != a.Submitter && slices.Contains(RoleScopes(p.Role), news.ScopeAlertsApprove)
	case news.CallTest:
		return p.Editor == by
	}
	return p.Editor != by
}

// ring tries one phone a few times.
func (c *Caller) ring(ctx context.Context, p news.Phone, m push.Message) {
	target := push.Target{Endpoint: p.Push.Endpoint, P256dh: p.Push.P256dh, Auth: p.Push.Auth}
	wait := 2 * time.Second
	for try := 1; ; try++ {
		r := c.sender.Send(ctx, target, m)
		switch {
		case r.Outcome == news.Accepted:
			return
		case r.Outcome == news.Gone:
			if err := c.phones.PhoneGone(ctx, p.ID); err != nil {
				c.log.Warn("a phone that is gone stays on the list", "phone", p.ID, "error", err)
			}
			return
		case r.Outcome == news.Refused || try == callTries:
			c.log.Warn("a phone can't be called", "phone", p.ID, "reason", r.Reason, "status", r.Status)
			return
		}
		// Once more is harmless where nobody knows: the topic and the tag are the
		// same, so the phone shows one.
		select {
		case <-time.After(min(max(wait, r.After), callWait)):
			wait *= 5
		case <-ctx.Done():
			return
		}
	}
}

// callMessage is what the desk's worker shows. It tells no more than the title,
// which readers are about to see.
func callMessage(kind news.Call, a news.Alert) push.Message {
	level, title := strings.ToUpper(a.Level.String()), a.Texts[a.Language].Title
	says := map[news.Call][2]string{
		news.CallApprove: {"Approve? " + level + ": " + title, "It waits for a second editor."},
		news.CallAlone:   {"Released alone. " + level + ": " + title, "One editor released it; there is a countdown in which it can be undone."},
		news.CallPaused:  {"Paused. " + level + ": " + title, "Too many of the first sends failed. Go on or stop?"},
		news.CallKilled:  {"Killed. " + level + ": " + title, "It is being taken back from whoever was sent it."},
		news.CallTest:    {"The desk reaches this device", "You are called here when an alert waits for you."},
	}[kind]
	payload, err := json.Marshal(struct {
		Desk   string `json:"desk"`
		Alert  string `json:"alert"`
		Title  string `json:"title"`
		Body   string `json:"body"`
		Urgent bool   `json:"urgent"`
	}{string(kind), a.ID, news.Cut(says[0], news.MaxTitleCharacters, news.MaxTitleBytes), says[1], kind != news.CallTest})
	if err != nil { // strings
		panic(err)
	}
	// One topic an alert: a later call about it takes the place of an earlier one
	// that the phone has not got yet (RFC 8030 section 5.4: 32 characters).
	sum := sha256.Sum256([]byte("desk/" + a.ID))
	return push.Message{Payload: payload, TTL: int(callTTL / time.Second), Urgency: "high",
		Topic: base64.RawURLEncoding.EncodeToString(sum[:24])}
}
