package push

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOrigin(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://fcm.googleapis.com/fcm/send/a:b":                "https://fcm.googleapis.com",
		"https://fcm.googleapis.com:443/fcm/send/a":              "https://fcm.googleapis.com",
		"https://push.example:8443/x?y=z":                        "https://push.example:8443",
		"http://127.0.0.1:80/push/1":                             "http://127.0.0.1",
		"http://127.0.0.1:9000/push/1":                           "http://127.0.0.1:9000",
		"https://[::1]:9000/push/1":                              "https://[::1]:9000",
		"https://wns2-par02p.notify.windows.com/w/?token=AwY%3d": "https://wns2-par02p.notify.windows.com",
		"": "", "nonsense": "", "https://": "", "https:///x": "", "mailto:a@b.example": "", "//fcm.googleapis.com/x": "",
		"https://user@push.example/": "", "https://push.example:/": "", "https://push.example:99999/": "",
		"https://push.example:0443/": "", "https://[::1%25lo]/": "", "https://[::0001]/": "", "https://a b/": "",
		"ftp://push.example/": "", "https://push.example/#a": "",
	} {
		if got := Origin(endpoint); got != want {
			t.Errorf("Origin(%q) = %q, want %q", endpoint, got, want)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://push.example": "https://push.example", " https://push.example/ ": "https://push.example",
		"https://push.example:443": "https://push.example", "http://127.0.0.1:8081": "http://127.0.0.1:8081",
		"https://push.example/push": "", "https://push.example?x": "", "push.example": "", "": "", "ws://push.example": "",
		"https://*.example": "",
	} {
		got, err := ParseOrigin(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseOrigin(%q) = %q, %v", text, got, err)
		}
	}
}

// A sender that is closed to all but its own origins dials nothing else, not
// even the public services, and every connection is the given dialer's.
func TestOnlyOrigins(t *testing.T) {
	var dialled []string
	s, err := New(Config{Keys: mustKey(t), Subject: "mailto:desk@news.example", Origins: []string{"http://127.0.0.1:9000"}, OnlyOrigins: true,
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return nil, errors.New("nobody is there")
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, to := receiver(t)
	for endpoint, want := range map[string]string{
		"https://fcm.googleapis.com/fcm/send/x": "bad-endpoint", "https://web.push.apple.com/x": "bad-endpoint",
		"https://127.0.0.1:9000/x": "bad-endpoint", "http://127.0.0.1:9001/x": "bad-endpoint", "http://127.0.0.1:9000/x": "reset",
	} {
		to.Endpoint = endpoint
		if got := s.Send(t.Context(), to, Message{Payload: []byte("{}"), TTL: 1}); got.Reason != want {
			t.Errorf("%s: %+v, want %s", endpoint, got, want)
		}
	}
	if len(dialled) != 1 || dialled[0] != "127.0.0.1:9000" {
		t.Errorf("dialled %v", dialled)
	}
}

func TestRoute(t *testing.T) {
	config := Config{Keys: mustKey(t), Subject: "mailto:desk@news.example",
		Origins: []string{"http://127.0.0.1:9000", "https://push.example:8443"}}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	good := []string{
		"https://fcm.googleapis.com/fcm/send/abc:def", "https://fcm.googleapis.com/wp/x", "https://jmt17.google.com/fcm/send/x",
		"https://android.googleapis.com/gcm/send/x", "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA",
		"https://web.push.apple.com/QGu", "https://sg2p.notify.windows.com/w/?token=x", "https://fcm.googleapis.com:443/x",
		"http://127.0.0.1:9000/push/1", "https://push.example:8443/push/1",
	}
	bad := []string{
		"https://push.apple.com/x", "https://a.b.push.apple.com/x", "https://.push.apple.com/x", "https://-.push.apple.com/x",
		"https://webpush.apple.com/x", "https://evilpush.apple.com/x", "https://notify.windows.com/x",
		"https://updates.push.services.mozilla.com.evil.example/x", "https://googleapis.com/x",
		"http://127.0.0.1:9001/push/1", "https://127.0.0.1:9000/push/1", "https://push.example/push/1", "http://push.example:8443/x",
		"https://xpush.example:8443/push/1",
	}
	for _, endpoint := range good {
		if _, origin, fault := s.route(endpoint); fault != "" || origin != Origin(endpoint) {
			t.Errorf("%s: %q %s", endpoint, origin, fault)
		}
	}
	for _, endpoint := range bad {
		if _, _, fault := s.route(endpoint); fault == "" {
			t.Errorf("%s: allowed", endpoint)
		}
	}
}

func TestAppleNeedsSubject(t *testing.T) {
	_, to := receiver(t)
	to.Endpoint = "https://web.push.apple.com/QGu"
	for _, subject := range []string{"", "https://news.example"} {
		s, err := New(Config{Keys: mustKey(t), Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		named, err := New(Config{Keys: mustKey(t), Subject: subject, Origins: []string{"https://web.push.apple.com"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := named.CheckSubscription(subscription(to)); (err == nil) != (subject != "") {
			t.Errorf("subject %q, named by the operator: %v", subject, err)
		}
		err = s.CheckSubscription(subscription(to))
		if (err == nil) != (subject != "") || (s.AppleOff() == "") != (subject != "") {
			t.Errorf("subject %q: %v; %s", subject, err, s.AppleOff())
		}
		if subject == "" {
			if err == nil || !strings.Contains(err.Error(), "DATELINE_VAPID_SUBJECT") {
				t.Errorf("the reason is not clear: %v", err)
			}
			if got := s.Send(t.Context(), to, message("t", 1)); got != refused("no-subject") {
				t.Errorf("receipt %+v", got)
			}
		}
	}
}

// FuzzEndpoint: whatever a stranger sends, what we accept is on the list, and
// net/http would speak to that very host.
func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{
		"https://fcm.googleapis.com/fcm/send/x", "https://fcm.googleapis.com@evil.example/", "https://web.push.apple.com/x",
		"https://127.0.0.1/x.google.com/", "https://fcm.googleapis.com.evil.tld/", "https://fcm.googleapis.com:22/",
		"https://fcm.googleapis.com./", "HTTPS://FCM.googleapis.com/", "https://2130706433/", "https://0x7f.1/",
		"https://fcm.googleapis.com\\@evil.example/", "https://[::ffff:127.0.0.1]/", "https://a%2eb.push.apple.com/",
		"https://fcm.googleapis.com%00.evil.example/", "https:fcm.googleapis.com/x", "https://fcm.googleapis.com:443:22/",
	} {
		f.Add(seed)
	}
	s, err := New(Config{Keys: mustKey(f), Subject: "mailto:desk@news.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		u, origin, fault := s.route(endpoint)
		if fault != "" {
			return
		}
		if u.Scheme != "https" || u.User != nil || !builtIn(strings.TrimPrefix(origin, "https://")) || len(endpoint) > MaxEndpoint {
			t.Fatalf("%q: origin %q", endpoint, origin)
		}
		r, err := http.NewRequest(http.MethodPost, endpoint, nil)
		if err != nil || strings.TrimSuffix(r.URL.Host, ":443") != strings.TrimPrefix(origin, "https://") {
			t.Fatalf("%q: net/http would speak to %q, %v", endpoint, r.URL.Host, err)
		}
		if diff := cmp.Diff(origin, Origin(endpoint)); diff != "" {
			t.Fatal(diff)
		}
	})
}
