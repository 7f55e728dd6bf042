package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// service starts a simulated push service and a sender that may use it.
func service(t testing.TB, opts simulate.PushOptions, change func(*Config)) (*simulate.PushService, *Sender) {
	t.Helper()
	key, err := NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Key == "" {
		opts.Key = key.PublicKey()
	}
	svc, err := simulate.NewPushService(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.Close)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(svc.CAPEM())
	config := Config{Keys: key, Subject: "mailto:desk@news.example", Origins: []string{svc.Origin()}, RootCAs: pool}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return svc, s
}

func phone(t testing.TB, svc *simulate.PushService) (*simulate.Phone, Target) {
	t.Helper()
	p, err := svc.NewPhone()
	if err != nil {
		t.Fatal(err)
	}
	return p, target(p)
}

func target(p *simulate.Phone) Target {
	sub := p.Subscription()
	return Target{Endpoint: sub.Endpoint, P256dh: sub.P256dh, Auth: sub.Auth}
}

func payload(tag string, revision int) []byte {
	return fmt.Appendf(nil, `{"web_push":8030,"notification":{"title":"Quake off Tōhoku","body":"Magnitude 7.1","tag":%q,"data":{"alert":"a","revision":%d}}}`, tag, revision)
}

func message(tag string, revision int) Message {
	return Message{Payload: payload(tag, revision), TTL: 3600, Urgency: "high", Topic: tag}
}

func TestSendIsShown(t *testing.T) {
	for name, opts := range map[string]simulate.PushOptions{
		"h2": {}, "http/1.1": {HTTP1: true}, "http": {Plain: true}, "h2, few streams": {Streams: 3},
	} {
		t.Run(name, func(t *testing.T) {
			svc, s := service(t, opts, nil)
			const n = 300
			phones, err := svc.NewPhones(n)
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for _, p := range phones {
				all.Go(func() {
					got := s.Send(context.Background(), target(p), message("tag", 1))
					if got.Outcome != news.Accepted || got.Status != 201 {
						t.Errorf("receipt %+v", got)
					}
				})
			}
			all.Wait()
			for _, p := range phones {
				shown := p.Shown()
				if len(shown) != 1 || shown[0].Title != "Quake off Tōhoku" || shown[0].Revision != 1 {
					t.Fatalf("shown %+v", shown)
				}
			}
			if svc.Requests() != n {
				t.Errorf("requests %d", svc.Requests())
			}
		})
	}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// tlsListener is a listener whose clients of package httptest trust it and
// speak HTTP/2.
func tlsListener(t *testing.T) net.Listener {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.EnableHTTP2 = true
	server.StartTLS()
	config := server.TLS.Clone()
	server.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
