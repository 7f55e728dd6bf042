package browsertest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"dateline/internal/news"
	"dateline/internal/push"
)

// testOwnSender: what our own sender seals, a real Firefox decrypts and shows;
// with a wrong key it shows nothing; after the end the receipt is gone.
func testOwnSender(t *testing.T, w *world) {
	svc, sender := w.svc, ownSender(t, w)
	to := push.Target{Endpoint: w.subscription.Endpoint, P256dh: bytesOf(t, w.subscription.Keys.P256dh),
		Auth: bytesOf(t, w.subscription.Keys.Auth)}
	send := func(to push.Target, m message) news.Receipt {
		t.Helper()
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return sender.Send(t.Context(), to, push.Message{Payload: raw, TTL: 60, Urgency: "high", Topic: "story-1"})
	}

	long := message{Title: "速報", Body: strings.Repeat("地震 ", 190), Tag: "story-1"}
	for _, m := range []message{{Title: "Short", Tag: "story-1"}, long} {
		if r := send(to, m); r.Outcome != news.Accepted {
			t.Fatalf("%s: %+v", m.Title, r)
		}
		svc.WaitAck(Delivered)
		w.ff.WaitNotifications(m.Title, func(shown []Notification) bool {
			return len(shown) == 1 && shown[0].Title == m.Title && shown[0].Body == m.Body
		})
	}

	wrong := to
	wrong.Auth = make([]byte, 16)
	if r := send(wrong, message{Title: "nobody may read this"}); r.Outcome != news.Accepted {
		t.Errorf("with a wrong key: %+v", r)
	}
	svc.WaitAck(Undecryptable)
	w.waitTitles(long.Title)

	w.ff.Eval("unsubscribe()")
	svc.WaitUnregistered(to.Endpoint)
	if r := send(to, message{Title: "too late"}); r.Outcome != news.Gone {
		t.Errorf("after the end: %+v", r)
	}
}

// ownSender sends with the key that the page subscribes with.
func ownSender(t *testing.T, w *world) *push.Sender {
	t.Helper()
	keys, err := push.ParseVAPIDKey(w.private)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.svc.CAPEM())
	sender, err := push.New(push.Config{Keys: keys, Subject: "mailto:ops@example.org", Origins: []string{w.svc.Origin()}, RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	if sender.PublicKey() != w.public {
		t.Fatalf("public key %s, want %s", sender.PublicKey(), w.public)
	}
	return sender
}

func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
