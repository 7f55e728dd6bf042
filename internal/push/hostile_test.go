package push

// The tests T21 to T35 and T38: hostile subscriptions and hostile push
// services. What is refused is refused twice, at the subscribe door
// (CheckSubscription) and at the send.

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

func subscription(to Target) news.PushSubscription {
	return news.PushSubscription{Endpoint: to.Endpoint, P256dh: to.P256dh, Auth: to.Auth}
}

func sender(t testing.TB) *Sender {
	t.Helper()
	s, err := New(Config{Keys: mustKey(t), Subject: "mailto:desk@news.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// problems gives the paths of an error's faults.
func problems(t testing.TB, err error) string {
	t.Helper()
	var faults *news.InvalidError
	if err == nil {
		return ""
	}
	if !errors.As(err, &faults) {
		t.Fatalf("not an InvalidError: %v", err)
	}
	var paths []string
	for _, p := range faults.Problems {
		paths = append(paths, p.Path)
		if p.Message == "" {
			t.Errorf("%s: no message", p.Path)
		}
	}
	return strings.Join(paths, " ")
}

// refusedEndpoint expects both refusals, and that nothing was dialled: the
// dial would not be answered in time.
func refusedEndpoint(t *testing.T, endpoints ...string) {
	t.Helper()
	s := sender(t)
	_, to := receiver(t)
	for _, endpoint := range endpoints {
		to.Endpoint = endpoint
		if got := problems(t, s.CheckSubscription(subscription(to))); got != "subscription/endpoint" {
			t.Errorf("%q at subscribe: %q", endpoint, got)
		}
		if got := s.Send(t.Context(), to, message("t", 1)); got != refused("bad-endpoint") {
			t.Errorf("%q at send: %+v", endpoint, got)
		}
		if got := inBatch(t, s, to, message("t", 1)); got != refused("bad-endpoint") {
			t.Errorf("%q in a batch: %+v", endpoint, got)
		}
	}
	if len(s.lanes) != 0 {
		t.Errorf("%d lanes were made", len(s.lanes))
	}
}

func TestT21_PlainHTTP(t *testing.T) {
	refusedEndpoint(t, "http://fcm.googleapis.com/fcm/send/x", "http://fcm.googleapis.com:443/x", "http://127.0.0.1:8080/x", "ws://fcm.googleapis.com/x")
}

func TestT22_Loopback(t *testing.T) {
	refusedEndpoint(t, "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://0.0.0.0/", "https://10.0.0.1/x", "https://169.254.169.254/latest/")
}

func TestT23_UserInfo(t *testing.T) {
	refusedEndpoint(t, "https://fcm.googleapis.com@evil/", "https://fcm.googleapis.com:443@evil.example/x", "https://user:pass@fcm.googleapis.com/x",
		"https://@fcm.googleapis.com/", `https://evil.example\@fcm.googleapis.com/`, "https://fcm.googleapis.com%40evil.example/")
}

func TestT24_HostInPath(t *testing.T) {
	refusedEndpoint(t, "https://127.0.0.1/x.google.com/", "https://evil.example/fcm.googleapis.com", "https://evil.example/?https://fcm.googleapis.com/", "https://evil.example/#fcm.googleapis.com")
}

func TestT25_HostAsPrefix(t *testing.T) {
	refusedEndpoint(t, "https://fcm.googleapis.com.evil.tld/x", "https://xfcm.googleapis.com/x", "https://web.push.apple.com.evil.tld/", "https://evil-push.apple.com/", "https://x.notify.windows.com.evil.tld/")
}

func TestT26_Port(t *testing.T) {
	refusedEndpoint(t, "https://fcm.googleapis.com:22/x", "https://fcm.googleapis.com:8443/x", "https://web.push.apple.com:80/x",
		"https://fcm.googleapis.com:0/x", "https://fcm.googleapis.com:65536/x", "https://fcm.googleapis.com:/x", "https://fcm.googleapis.com:443:22/x", "https://fcm.googleapis.com:00443/x")
}

func TestT27_Disguises(t *testing.T) {
	refusedEndpoint(t, "https://fcm.googleapis.com./x", "https://FCM.googleapis.com/x", "https://fcm.GoogleAPIs.com/x",
		"https://xn--fcm-cma.googleapis.com/x", "https://fcm.googleаpis.com/x", "https://fcm。googleapis.com/x",
		"https://2130706433/", "https://0x7f.1/", "https://0x7f000001/", "https://017700000001/", "https://127.1/", "https://127.0.0.1./",
		"https://fcm.googleapis.com%2eevil.tld/", "https://fcm.googleapis.com%00/", " https://fcm.googleapis.com/x", "https://fcm.googleapis.com/x\r\nX: y",
		"https:/fcm.googleapis.com/x", "https:fcm.googleapis.com/x", "fcm.googleapis.com/x", "javascript:alert(1)", "file:///etc/passwd", "")
}

// names is a DNS server on loopback that answers every name with the same
// addresses, and a resolver that asks it.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if raw := dnsAnswer(buf[:n], addresses); raw != nil {
				_, _ = conn.WriteTo(raw, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func dnsAnswer(query []byte, addresses []string) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
	for _, text := range addresses {
		addr := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case addr.Is4() && q.Type == dnsmessage.TypeA:
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	raw, err := answer.Pack()
	if err != nil {
		return nil
	}
	return raw
}

// refusedDial sends to a built-in host that resolves to the addresses, and
// expects that no connection is attempted.
func refusedDial(t *testing.T, send way, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		s := sender(t)
		s.dialing.resolver = names(t, address)
		_, to := receiver(t) // at fcm.googleapis.com: good at subscribe
		if err := s.CheckSubscription(subscription(to)); err != nil {
			t.Fatal(err)
		}
		if got := send(t, s, to, message("t", 1)); got.Outcome != news.Retry || got.Reason != "address" {
			t.Errorf("%s: %+v", address, got)
		}
	}
}

func TestT28_Rebinding(t *testing.T) { bothWays(t, rebinding) }

func rebinding(t *testing.T, send way) {
	refusedDial(t, send, "127.0.0.1", "10.1.2.3", "169.254.169.254", "::1")
	// One public address among the answers does not open the others.
	s := sender(t)
	s.dialing.resolver = names(t, "127.0.0.1", "10.0.0.1")
	_, to := receiver(t)
	if got := send(t, s, to, message("t", 1)); got.Reason != "address" {
		t.Errorf("%+v", got)
	}
}

func TestT29_SpecialAddresses(t *testing.T) { bothWays(t, specialAddresses) }

func specialAddresses(t *testing.T, send way) {
	refusedDial(t, send, "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00:ec2::254", "100.64.0.1")
	special := []string{
		"0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
		"192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.1.1", "192.175.48.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808",
		"64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::",
		"2002:0808:0808::1", "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
	}
	for _, text := range special {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("%s is called public", text)
		}
	}
	for _, text := range []string{"8.8.8.8", "142.250.1.1", "17.188.143.34", "::ffff:8.8.8.8", "2607:f8b0:4005:802::200a", "2620:149:a00::1", "2a00:1450::1",
		"100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1", "223.255.255.255", "2001:200::1"} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("%s is called special", text)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is called public")
	}
	for _, address := range []string{"", "nonsense", "8.8.8.8", "127.0.0.1:443", "[fe80::1%eth0]:443"} {
		if checkAddress("tcp", address, nil) == nil {
			t.Errorf("%q may be dialled", address)
		}
	}
	if err := checkAddress("tcp", "8.8.8.8:443", nil); err != nil {
		t.Error(err)
	}
}

// TestT29_OnlyNamedOriginsAreExempt: the operator's own origin may be on
// loopback; that opens loopback to nobody else.
func TestT29_OnlyNamedOriginsAreExempt(t *testing.T) { bothWays(t, onlyNamed) }

func onlyNamed(t *testing.T, send way) {
	svc, s := service(t, simulate.PushOptions{}, nil)
	p, to := phone(t, svc)
	if got := send(t, s, to, message("t", 1)); got.Outcome != news.Accepted {
		t.Fatalf("%+v", got)
	}
	s.dialing.resolver = names(t, "127.0.0.1")
	to.Endpoint = "https://fcm.googleapis.com" + strings.TrimPrefix(p.Endpoint(), svc.Origin())
	if got := send(t, s, to, message("t", 1)); got.Reason != "address" {
		t.Errorf("%+v", got)
	}
}

func TestT30_Redirect(t *testing.T) { bothWays(t, redirect) }

func redirect(t *testing.T, send way) {
	var inside atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
	defer trap.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		svc, s := service(t, simulate.PushOptions{Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
			return &simulate.PushAnswer{Status: status, Header: http.Header{"Location": {trap.URL + "/x"}}}
		}}, nil)
		_, to := phone(t, svc)
		got := send(t, s, to, message("t", 1))
		if want := (news.Receipt{Outcome: news.Refused, Status: status, Reason: "redirect"}); got != want {
			t.Errorf("%d: %+v", status, got)
		}
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d requests followed the redirect", n)
	}
}

func TestT31_Proxy(t *testing.T) { bothWays(t, proxy) }

func proxy(t *testing.T, send way) {
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		proxied.Add(1)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	for _, plain := range []bool{false, true} {
		svc, s := service(t, simulate.PushOptions{Plain: plain}, nil)
		_, to := phone(t, svc)
		if got := send(t, s, to, message("t", 1)); got.Outcome != news.Accepted {
			t.Errorf("%+v", got)
		}
		if l := s.lanes[svc.Origin()]; l.transport.Proxy != nil {
			t.Error("the transport has a proxy function")
		}
	}
	if n := proxied.Load(); n != 0 {
		t.Errorf("%d requests went through the proxy", n)
	}
}

// custom starts an HTTPS service whose answers are the handler's.
func custom(t *testing.T, h2 bool, handler http.HandlerFunc) (*Sender, Target) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = h2
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	s, err := New(Config{Keys: mustKey(t), Origins: []string{server.URL}, RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	_, to := receiver(t)
	to.Endpoint = server.URL + "/x"
	return s, to
}

func bothProtocols(t *testing.T, run func(t *testing.T, h2 bool)) {
	t.Run("h2", func(t *testing.T) { run(t, true) })
	t.Run("http1", func(t *testing.T) { run(t, false) })
}

func TestT32_EndlessBody(t *testing.T) { bothWays(t, endlessBody) }

func endlessBody(t *testing.T, send way) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		var written atomic.Int64
		ended := make(chan struct{}, 1)
		s, to := custom(t, h2, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			for chunk := make([]byte, 32<<10); written.Load() < 1<<30; {
				n, err := w.Write(chunk)
				written.Add(int64(n))
				if err != nil {
					break
				}
			}
			ended <- struct{}{}
		})
		if got := send(t, s, to, message("t", 1)); got.Outcome != news.Accepted {
			t.Errorf("%+v", got)
		}
		<-ended
		// What is in flight when we hang up: the peer's window and socket buffers.
		if n := written.Load(); n > 64<<20 {
			t.Errorf("%d bytes were taken", n)
		}
	})
}

// bomb is 8 MiB of zeros in 8 KiB.
var bomb = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for range 128 {
		_, _ = z.Write(make([]byte, 64<<10))
	}
	_ = z.Close()
	return out.Bytes()
})

func TestT32_GzipBomb(t *testing.T) { bothWays(t, gzipBomb) }

func gzipBomb(t *testing.T, send way) {
	packed := bomb()
	s, to := custom(t, true, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "" {
			t.Errorf("asks for %q", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(packed)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := send(t, s, to, message("t", 1)); got.Outcome != news.Refused || got.Status != 400 {
		t.Errorf("%+v", got)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// TestT32_HangingBody: the status is known, the body never ends (T40 too).
func TestT32_HangingBody(t *testing.T) { bothWays(t, hangingBody) }

func hangingBody(t *testing.T, send way) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		release := make(chan struct{})
		s, to := custom(t, h2, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusGone)
			_, _ = io.WriteString(w, "wait")
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		s.answerWait = 50 * time.Millisecond
		started := time.Now()
		got := send(t, s, to, message("t", 1))
		close(release)
		if got.Outcome != news.Gone || time.Since(started) > 5*time.Second {
			t.Errorf("%+v after %s", got, time.Since(started))
		}
	})
}

func TestT33_HugeHeader(t *testing.T) { bothWays(t, hugeHeader) }

func hugeHeader(t *testing.T, send way) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s, to := custom(t, h2, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for i := range 160 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 64<<10)) // 10 MB in all
			}
			w.WriteHeader(http.StatusCreated)
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := send(t, s, to, message("t", 1))
		runtime.ReadMemStats(&after)
		// It was written, and what came back is no answer.
		if got.Outcome != news.Ambiguous {
			t.Errorf("%+v", got)
		}
		// The server of the test makes 10 MB several times over; we must not add to it.
		t.Logf("allocated by both sides: %d MiB", (after.TotalAlloc-before.TotalAlloc)>>20)
	})
}

func TestT34_P256dh(t *testing.T) { bothWays(t, badP256dh) }

func badP256dh(t *testing.T, send way) {
	_, to := receiver(t)
	good, auth := base64.RawURLEncoding.EncodeToString(to.P256dh), base64.RawURLEncoding.EncodeToString(to.Auth)
	encode := func(change func([]byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change(bytes.Clone(to.P256dh)))
	}
	bad := map[string]string{
		"empty":          "",
		"not on curve":   encode(func(p []byte) []byte { p[64] ^= 1; return p }),
		"compressed":     encode(func(p []byte) []byte { return append([]byte{2 + p[64]&1}, p[1:33]...) }),
		"hybrid":         encode(func(p []byte) []byte { p[0] = 6 + p[64]&1; return p }),
		"64 bytes":       encode(func(p []byte) []byte { return p[:64] }),
		"66 bytes":       encode(func(p []byte) []byte { return append(p, 0) }),
		"infinity":       encode(func([]byte) []byte { return []byte{0} }),
		"zeros":          encode(func(p []byte) []byte { return make([]byte, 65) }),
		"coordinate = p": encode(func(p []byte) []byte { return append([]byte{4}, bytes.Repeat([]byte{255}, 64)...) }),
		"not base64":     good[:86] + "*",
		"line break":     good[:40] + "\n" + good[40:],
		"space":          " " + good,
		"bad padding":    good + "==",
		"odd length":     good[:85],
		"1 MB":           strings.Repeat("A", 1<<20),
	}
	s := sender(t)
	svc, live := service(t, simulate.PushOptions{}, nil) // a batch dials before it looks at keys
	_, there := phone(t, svc)
	for name, p256dh := range bad {
		if _, err := ParseSubscription(to.Endpoint, p256dh, auth); problems(t, err) != "subscription/keys/p256dh" {
			t.Errorf("%s at subscribe: %v", name, err)
		}
		raw, err := decodeBase64(p256dh)
		if err != nil {
			continue
		}
		broken := Target{Endpoint: to.Endpoint, P256dh: raw, Auth: to.Auth}
		if problems(t, s.CheckSubscription(subscription(broken))) != "subscription/keys/p256dh" {
			t.Errorf("%s: CheckSubscription lets it through", name)
		}
		broken.Endpoint = there.Endpoint
		if got := send(t, live, broken, message("t", 1)); got != refused("bad-keys") {
			t.Errorf("%s at send: %+v", name, got)
		}
	}
	if n := svc.Requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
	std := base64.StdEncoding.EncodeToString(to.P256dh)
	for _, p256dh := range []string{good, good + "=", std, strings.TrimRight(std, "=")} {
		if sub, err := ParseSubscription(to.Endpoint, p256dh, auth); err != nil || !bytes.Equal(sub.P256dh, to.P256dh) || s.CheckSubscription(sub) != nil {
			t.Errorf("%s: %v", p256dh, err)
		}
	}
}

func TestT35_Auth(t *testing.T) { bothWays(t, badAuth) }

func badAuth(t *testing.T, send way) {
	_, to := receiver(t)
	p256dh := base64.RawURLEncoding.EncodeToString(to.P256dh)
	s := sender(t)
	svc, live := service(t, simulate.PushOptions{}, nil) // a batch dials before it looks at keys
	_, there := phone(t, svc)
	for _, n := range []int{0, 1, 15, 17, 32} {
		auth := make([]byte, n)
		if _, err := ParseSubscription(to.Endpoint, p256dh, base64.RawURLEncoding.EncodeToString(auth)); problems(t, err) != "subscription/keys/auth" {
			t.Errorf("%d bytes at subscribe: %v", n, err)
		}
		broken := Target{Endpoint: to.Endpoint, P256dh: to.P256dh, Auth: auth}
		if problems(t, s.CheckSubscription(subscription(broken))) != "subscription/keys/auth" {
			t.Errorf("%d bytes: CheckSubscription lets it through", n)
		}
		broken.Endpoint = there.Endpoint
		if got := send(t, live, broken, message("t", 1)); got != refused("bad-keys") {
			t.Errorf("%d bytes at send: %+v", n, got)
		}
	}
	if n := svc.Requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
	for _, auth := range []string{"*", "AAAAAAAAAAAAAAAAAAAAA\n", "AAAAAAAAAAAAAAAAAAAAAA==="} {
		if _, err := ParseSubscription(to.Endpoint, p256dh, auth); problems(t, err) != "subscription/keys/auth" {
			t.Errorf("%q: %v", auth, err)
		}
	}
	// Everything wrong is reported at once.
	if _, err := ParseSubscription("", "x", "x"); problems(t, err) != "subscription/endpoint subscription/keys/p256dh subscription/keys/auth" {
		t.Error(err)
	}
}

func TestT38_LongEndpoint(t *testing.T) {
	base := "https://fcm.googleapis.com/fcm/send/"
	refusedEndpoint(t, base+strings.Repeat("x", 4096-len(base)), base+strings.Repeat("x", MaxEndpoint+1-len(base)), base+strings.Repeat("x", 1<<20))
	_, to := receiver(t)
	to.Endpoint = base + strings.Repeat("x", MaxEndpoint-len(base))
	if err := sender(t).CheckSubscription(subscription(to)); err != nil {
		t.Errorf("%d characters: %v", len(to.Endpoint), err)
	}
}
