package simulate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// publisher is a sender made of webpush-go and golang-jwt alone.
type publisher struct {
	private, public string
	client          *http.Client
}

func newPublisher(t testing.TB, a *Authority) *publisher {
	t.Helper()
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = a.Pool()
	t.Cleanup(transport.CloseIdleConnections)
	return &publisher{private: private, public: public, client: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

func start(t testing.TB, opts PushOptions) *PushService {
	t.Helper()
	s, err := NewPushService(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func subscribe(t testing.TB, s *PushService) *Phone {
	t.Helper()
	p, err := s.NewPhone()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// browser is a phone's subscription as webpush-go wants it.
func browser(p *Phone) *webpush.Subscription {
	sub := p.Subscription()
	b64 := base64.RawURLEncoding
	return &webpush.Subscription{Endpoint: sub.Endpoint,
		Keys: webpush.Keys{P256dh: b64.EncodeToString(sub.P256dh), Auth: b64.EncodeToString(sub.Auth)}}
}

func alert(tag string, revision int) string {
	return fmt.Sprintf(`{"web_push":8030,"notification":{"title":"r%d","body":"b","tag":%q,"data":{"alert":"a1","revision":%d,"regions":["JP"]}}}`, revision, tag, revision)
}

func (p *publisher) send(t testing.TB, to *Phone, payload, topic string) int {
	t.Helper()
	resp, err := webpush.SendNotification([]byte(payload), browser(to), &webpush.Options{HTTPClient: p.client, TTL: 60, Topic: topic,
		Urgency: webpush.UrgencyHigh, Subscriber: "desk@news.example", VAPIDPublicKey: p.public, VAPIDPrivateKey: p.private})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestInterop: what webpush-go seals, a phone shows, over every transport.
func TestInterop(t *testing.T) {
	for name, opts := range map[string]PushOptions{"h2": {}, "http/1.1": {HTTP1: true}, "http": {Plain: true}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, opts)
			pub := newPublisher(t, s.Authority())
			phone := subscribe(t, s)
			if status := pub.send(t, phone, alert("tag", 3), "tag"); status != http.StatusCreated {
				t.Fatalf("status %d", status)
			}
			want := []Notification{{Title: "r3", Body: "b", Tag: "tag", Alert: "a1", Revision: 3, Regions: []string{"JP"}}}
			if diff := cmp.Diff(want, phone.Shown(), cmpopts.IgnoreFields(Notification{}, "At")); diff != "" {
				t.Error(diff)
			}
			got := phone.Received()
			if len(got) != 1 || string(got[0].Payload) != alert("tag", 3) || got[0].Topic != "tag" || got[0].Urgency != "high" || got[0].TTL != 60 {
				t.Errorf("%+v", got)
			}
			if s.Posts(phone.Endpoint()) != 1 || s.Requests() != 1 || s.Posts("https://other.example/push/x") != 0 {
				t.Errorf("posts %d, requests %d", s.Posts(phone.Endpoint()), s.Requests())
			}
		})
	}
}

// post sends a bare request with a valid token unless the change spoils it.
func (p *publisher) post(t testing.TB, to *Phone, body []byte, change func(r *http.Request)) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, to.Endpoint(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("TTL", "60")
	r.Header.Set("Content-Encoding", "aes128gcm")
	r.Header.Set("Authorization", p.token(t, jwt.SigningMethodES256, to.Service().Origin(), "mailto:desk@news.example", 12*time.Hour))
	change(r)
	resp, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (p *publisher) token(t testing.TB, method jwt.SigningMethod, aud, sub string, life time.Duration) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(p.private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var with any = key
	if method != jwt.SigningMethodES256 {
		with = raw
	}
	text, err := jwt.NewWithClaims(method, jwt.MapClaims{"aud": aud, "sub": sub, "exp": time.Now().Add(life).Unix()}).SignedString(with)
	if err != nil {
		t.Fatal(err)
	}
	return "vapid t=" + text + ", k=" + p.public
}

func TestPushServiceChecks(t *testing.T) {
	s := start(t, PushOptions{NeedSubject: true})
	pub := newPublisher(t, s.Authority())
	other := newPublisher(t, s.Authority())
	bound := start(t, PushOptions{Authority: s.Authority(), Key: pub.public})
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	auth := func(method jwt.SigningMethod, aud, sub string, life time.Duration) func(*http.Request) {
		return set("Authorization", pub.token(t, method, aud, sub, life))
	}
	good := pub.token(t, jwt.SigningMethodES256, s.Origin(), "mailto:desk@news.example", time.Hour)
	head, rest, _ := strings.Cut(good, ".")
	claims, sig, _ := strings.Cut(rest, ".")
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"all right":           {func(*http.Request) {}, 201},
		"https subject":       {auth(jwt.SigningMethodES256, s.Origin(), "https://news.example/x", time.Hour), 201},
		"GET":                 {func(r *http.Request) { r.Method, r.Body = http.MethodGet, nil }, 405},
		"unknown endpoint":    {func(r *http.Request) { r.URL.Path += "x" }, 404},
		"no TTL":              {func(r *http.Request) { r.Header.Del("TTL") }, 400},
		"negative TTL":        {set("TTL", "-1"), 400},
		"TTL in words":        {set("TTL", "an hour"), 400},
		"no encoding":         {func(r *http.Request) { r.Header.Del("Content-Encoding") }, 400},
		"old encoding":        {set("Content-Encoding", "aesgcm"), 400},
		"topic too long":      {set("Topic", strings.Repeat("a", 33)), 400},
		"topic alphabet":      {set("Topic", "a.b"), 400},
		"topic":               {set("Topic", strings.Repeat("a", 32)), 201},
		"urgency":             {set("Urgency", "urgent"), 400},
		"no token":            {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"old scheme":          {set("Authorization", "WebPush x"), 403},
		"other audience":      {auth(jwt.SigningMethodES256, "https://fcm.googleapis.com", "mailto:desk@news.example", time.Hour), 403},
		"expired":             {auth(jwt.SigningMethodES256, s.Origin(), "mailto:desk@news.example", -time.Second), 403},
		"25 hours":            {auth(jwt.SigningMethodES256, s.Origin(), "mailto:desk@news.example", 25*time.Hour), 403},
		"HS256":               {auth(jwt.SigningMethodHS256, s.Origin(), "mailto:desk@news.example", time.Hour), 403},
		"subject localhost":   {auth(jwt.SigningMethodES256, s.Origin(), "mailto:desk@localhost", time.Hour), 403},
		"subject twice":       {auth(jwt.SigningMethodES256, s.Origin(), "mailto:mailto:desk@news.example", time.Hour), 403},
		"no subject":          {auth(jwt.SigningMethodES256, s.Origin(), "", time.Hour), 403},
		"changed claims":      {set("Authorization", head+"."+claims[:8]+"A"+claims[9:]+"."+sig), 403},
		"signature cut":       {set("Authorization", head+"."+claims+", k="+pub.public), 403},
		"another's signature": {set("Authorization", strings.Replace(good, "k="+pub.public, "k="+other.public, 1)), 403},
	} {
		phone := subscribe(t, s)
		if got := pub.post(t, phone, []byte("x"), c.change); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	phone := subscribe(t, s)
	if got := pub.post(t, phone, make([]byte, 4096), func(*http.Request) {}); got != 201 {
		t.Errorf("4096 bytes: %d", got)
	}
	if got := pub.post(t, phone, make([]byte, 4097), func(*http.Request) {}); got != 413 {
		t.Errorf("4097 bytes: %d", got)
	}
	if got := pub.send(t, subscribe(t, bound), alert("t", 1), ""); got != 201 {
		t.Errorf("the key it subscribed with: %d", got)
	}
	if got := other.send(t, subscribe(t, bound), alert("t", 1), ""); got != 403 {
		t.Errorf("another key: %d", got)
	}
}

func TestGoneAndBack(t *testing.T) {
	s := start(t, PushOptions{})
	pub, phone := newPublisher(t, s.Authority()), subscribe(t, s)
	phone.Unsubscribe()
	if got := pub.send(t, phone, alert("t", 1), ""); got != 410 {
		t.Errorf("after leaving: %d", got)
	}
	phone.Subscribe()
	if got := pub.send(t, phone, alert("t", 1), ""); got != 201 {
		t.Errorf("after coming back: %d", got)
	}
}

func TestMisbehaviour(t *testing.T) {
	var next *PushAnswer
	s := start(t, PushOptions{Answer: func(r *PushRequest) *PushAnswer {
		if r.Phone == nil || len(r.Body) == 0 || r.Header.Get("TTL") == "" || r.Post != r.Total {
			t.Errorf("request %+v", r)
		}
		return next
	}})
	pub, phone := newPublisher(t, s.Authority()), subscribe(t, s)
	next = &PushAnswer{Status: 429, Header: http.Header{"Retry-After": {"7"}}}
	if got := pub.send(t, phone, alert("t", 1), ""); got != 429 || len(phone.Received()) != 0 {
		t.Errorf("%d, received %d", got, len(phone.Received()))
	}
	next = &PushAnswer{Status: 500, Deliver: true}
	if got := pub.send(t, phone, alert("t", 1), ""); got != 500 || len(phone.Received()) != 1 {
		t.Errorf("%d, received %d", got, len(phone.Received()))
	}
	for _, deliver := range []bool{false, true} {
		next = &PushAnswer{Drop: true, Deliver: deliver}
		before := len(phone.Received())
		_, err := webpush.SendNotification([]byte(alert("t", 2)), browser(phone), &webpush.Options{HTTPClient: pub.client, TTL: 60,
			Subscriber: "desk@news.example", VAPIDPublicKey: pub.public, VAPIDPrivateKey: pub.private})
		if err == nil || (len(phone.Received()) > before) != deliver {
			t.Errorf("deliver %v: %v, received %d", deliver, err, len(phone.Received()))
		}
	}
	next = nil
	if got := pub.send(t, phone, alert("t", 2), ""); got != 201 {
		t.Errorf("well again: %d", got)
	}
	if shown := phone.Shown(); len(shown) != 1 || shown[0].Revision != 2 || shown[0].Repeats != 1 {
		t.Errorf("%+v", shown)
	}
}

// TestRate: paced messages take their time. Only the lower bound is certain.
func TestRate(t *testing.T) {
	s := start(t, PushOptions{Rate: 500})
	pub := newPublisher(t, s.Authority())
	phones, err := s.NewPhones(60)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	var all sync.WaitGroup
	for _, p := range phones {
		all.Go(func() { pub.send(t, p, alert("t", 1), "") })
	}
	all.Wait()
	// 59 gaps of 2 ms, less what the bucket may catch up.
	if took := time.Since(begun); took < (59-paceBurst)*2*time.Millisecond {
		t.Errorf("took %s", took)
	}
	s.SetRate(0)
	if got := pub.send(t, phones[0], alert("t", 2), ""); got != 201 {
		t.Error(got)
	}
}

func TestPaceGivesUp(t *testing.T) {
	p := newPace(0.001)
	ctx, cancel := context.WithCancel(t.Context())
	if err := p.wait(ctx); err != nil { // the first goes at once
		t.Fatal(err)
	}
	cancel()
	if err := p.wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	p.rate.Store(0)
	if err := p.wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// syncLog is a log file that counts its flushes.
type syncLog struct {
	bytes.Buffer
	synced int
}

func (l *syncLog) Sync() error { l.synced++; return nil }

func TestRequestLog(t *testing.T) {
	log := new(syncLog)
	at := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	s := start(t, PushOptions{Name: "mozilla", Log: log, Sync: true, Now: time.Now})
	pub, phone := newPublisher(t, s.Authority()), subscribe(t, s)
	pub.send(t, phone, alert("tag", 1), "topic")
	pub.send(t, phone, alert("tag", 1), "topic")
	pub.send(t, phone, "not json", "")
	phone.Unsubscribe()
	pub.send(t, phone, alert("tag", 2), "topic")
	want := []logLine{
		{Service: "mozilla", ID: phone.ID(), Topic: "topic", Urgency: "high", TTL: 60, Status: 201, Effect: Shown, Alert: "a1", Tag: "tag", Revision: 1},
		{Service: "mozilla", ID: phone.ID(), Topic: "topic", Urgency: "high", TTL: 60, Status: 201, Effect: Repeated, Alert: "a1", Tag: "tag", Revision: 1},
		{Service: "mozilla", ID: phone.ID(), Urgency: "high", TTL: 60, Status: 201, Effect: Unreadable},
		{Service: "mozilla", ID: phone.ID(), Topic: "topic", Urgency: "high", TTL: 60, Status: 410, Reason: "push subscription has unsubscribed or expired"},
	}
	var got []logLine
	for d := json.NewDecoder(&log.Buffer); ; {
		var line logLine
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if line.At.Before(at) {
			t.Errorf("time %s", line.At)
		}
		line.At = time.Time{}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if log.synced != len(want) {
		t.Errorf("%d flushes", log.synced)
	}
}

func TestWait(t *testing.T) {
	s := start(t, PushOptions{})
	pub := newPublisher(t, s.Authority())
	phones, err := s.NewPhones(20)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		done <- s.Wait(ctx, func() bool {
			for _, p := range s.Phones() {
				if len(p.Shown()) == 0 {
					return false
				}
			}
			return true
		})
	}()
	for _, p := range phones {
		pub.send(t, p, alert("t", 1), "")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Wait(ended, func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestOnShown: the hook hears of every message, after the phone's state has it.
func TestOnShown(t *testing.T) {
	var mu sync.Mutex
	heard := map[string]Effect{}
	s := start(t, PushOptions{OnShown: func(p *Phone, d Delivery) {
		mu.Lock()
		defer mu.Unlock()
		heard[p.ID()] = d.Effect
		if len(p.Shown()) != 1 || d.At.IsZero() {
			t.Errorf("%+v", d)
		}
	}})
	pub := newPublisher(t, s.Authority())
	phone := subscribe(t, s)
	pub.send(t, phone, alert("t", 1), "")
	pub.send(t, phone, alert("t", 2), "")
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(map[string]Effect{phone.ID(): Replaced}, heard); diff != "" {
		t.Error(diff)
	}
}

// TestUnread: what came in is told before the pace and its answer, nothing is
// shown, and the message can be read afterwards.
func TestUnread(t *testing.T) {
	in := make(chan Arrival, 2)
	s := start(t, PushOptions{Unread: true, Rate: 0.001, OnArrival: func(a Arrival) { in <- a }})
	pub := newPublisher(t, s.Authority())
	phone, other := subscribe(t, s), subscribe(t, s)
	pub.send(t, phone, alert("t", 3), "") // the first of a pace goes at once
	a := <-in
	if n, err := a.Phone.Open(a.Body); a.Phone != phone || err != nil || n.Revision != 3 || n.Alert != "a1" {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := other.Open(a.Body); err == nil {
		t.Errorf("another phone reads it: %+v", n)
	}
	if len(phone.Shown()) != 0 || len(phone.Received()) != 0 {
		t.Error("an unread message is on the screen")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, phone.Endpoint(), strings.NewReader("x"))
		var resp *http.Response
		if err == nil {
			resp, err = pub.client.Do(req)
		}
		if err == nil {
			resp.Body.Close()
		}
		ended <- err
	}()
	if a := <-in; string(a.Body) != "x" { // it would be answered in 1,000 s
		t.Errorf("%q came in", a.Body)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("answered against the pace")
	}
}

// TestSeveralServices: three services under one authority, each with its own
// origin and phones.
func TestSeveralServices(t *testing.T) {
	authority, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t, authority)
	origins := map[string]bool{}
	for _, name := range []string{"fcm", "mozilla", "apple"} {
		s := start(t, PushOptions{Name: name, Authority: authority, Path: "/" + name + "/send/"})
		phone := subscribe(t, s)
		if got := pub.send(t, phone, alert("t", 1), ""); got != 201 || s.Name() != name || s.Phone(phone.Endpoint()) != phone {
			t.Errorf("%s: %d", name, got)
		}
		origins[s.Origin()] = true
	}
	if len(origins) != 3 {
		t.Errorf("origins %v", origins)
	}
}

// TestSignedRejectsZero: ES256 of zeros is no signature, nor is one out of range.
func TestSignedRejectsZero(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if signed("x", make([]byte, 64), public) || signed("x", bytes.Repeat([]byte{255}, 64), public) || signed("x", nil, public) || signed("x", make([]byte, 64), nil) {
		t.Error("a signature of nothing is taken")
	}
}

// seal gives the body webpush-go makes of a payload for a phone.
func seal(t testing.TB, to *Phone, payload string) []byte {
	t.Helper()
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	keep := doer(func(r *http.Request) (*http.Response, error) {
		raw, err := io.ReadAll(r.Body)
		body = raw
		return &http.Response{StatusCode: 201, Body: http.NoBody}, err
	})
	if _, err := webpush.SendNotification([]byte(payload), browser(to), &webpush.Options{HTTPClient: keep, RecordSize: 512,
		VAPIDPublicKey: public, VAPIDPrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	return body
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
