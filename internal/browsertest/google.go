package browsertest

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Google is a stand-in for what Chromium's push stands on: Google's check-in and
// registration, the socket that messages come over (MCS), and the endpoints a
// sender posts to. It checks each VAPID token, honours Topic and TTL, keeps a
// message until the browser has acknowledged it, and answers 410 after an
// unsubscribe. Chromium acknowledges whether or not it could decrypt.
//
// The endpoints that Chromium gives have a host of Google's, which no test may
// reach: scripts that come through [Google.Front] read [Google.Origin] instead.
// All else is as it comes.
//
// Its methods may be called from any goroutine, the waiting ones only from the
// test's own.
type Google struct {
	tb      testing.TB
	origin  string
	signup  string // where check-in and registration are
	mcs     net.Listener
	journal *journal

	board         // guards the fields below
	registrations map[string]*registration
	queue         []*outgoing // not acknowledged, oldest first
	conn          net.Conn    // nil: no browser is there
	stream        int         // of the last message over conn
	posts         []Post
	sequence      int
}

// registration is one subscription, by its token.
type registration struct {
	app, subtype, key string
	gone              bool
}

type outgoing struct {
	Post
	token  string
	stream int // over the present connection; 0: not sent
}

// NewGoogle starts the services on loopback; they stop with the test.
func NewGoogle(tb testing.TB) *Google {
	tb.Helper()
	g := &Google{tb: tb, journal: newJournal(), registrations: map[string]*registration{}}
	g.journal.dumpOnFailure(tb, "google")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /checkin", g.checkIn)
	mux.HandleFunc("POST /register", g.register)
	mux.HandleFunc("POST /fcm/send/{token}", g.send)
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)
	g.origin, g.signup = server.URL, server.URL
	secure := httptest.NewUnstartedServer(nil)
	secure.StartTLS() // for its certificate
	certificate := secure.TLS.Certificates[0]
	secure.Close()
	var err error
	if g.mcs, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}}); err != nil {
		tb.Fatalf("browsertest: MCS: %v", err)
	}
	tb.Cleanup(g.close)
	go g.accept()
	return g
}

// Origin is scheme, host and port of every endpoint: what a sender must allow.
func (g *Google) Origin() string { return g.origin }

// Posts lists every request so far, whatever it was answered.
func (g *Google) Posts() []Post {
	g.Lock()
	defer g.Unlock()
	return slices.Clone(g.posts)
}

// endpointsHere goes before a script, of a page or of a worker, and has it read
// endpoints of the stand-in.
const endpointsHere = `(() => {
	const here = s => String(s).replace(/^https:\/\/(jmt17\.google\.com|fcm\.googleapis\.com)(?=\/)/, %s);
	const own = Object.getOwnPropertyDescriptor(PushSubscription.prototype, "endpoint").get;
	if (PushSubscription.prototype.elsewhere) return;
	PushSubscription.prototype.elsewhere = true;
	Object.defineProperty(PushSubscription.prototype, "endpoint", { get() { return here(own.call(this)); } });
	const json = PushSubscription.prototype.toJSON;
	PushSubscription.prototype.toJSON = function () { return { ...json.call(this), endpoint: this.endpoint }; };
})();
`

// Front stands before a site, at the address it gives, and puts endpointsHere
// before the scripts whose paths hold one of these words.
func (g *Google) Front(site string, scripts ...string) string {
	g.tb.Helper()
	to, err := url.Parse(site)
	if err != nil {
		g.tb.Fatalf("browsertest: Front(%s): %v", site, err)
	}
	ours := func(r *http.Request) bool {
		return slices.ContainsFunc(scripts, func(word string) bool { return strings.Contains(r.URL.Path, word) })
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			if ours(r.In) {
				for _, name := range []string{"Accept-Encoding", "If-None-Match", "If-Modified-Since"} {
					r.Out.Header.Del(name)
				}
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if !ours(r.Request) {
				return nil
			}
			script, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			whole := fmt.Sprintf(endpointsHere, quote(g.origin)) + string(script)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(whole)), int64(len(whole))
			r.Header.Set("Content-Length", strconv.Itoa(len(whole)))
			r.Header.Del("ETag")
			return err
		}}
	server := httptest.NewServer(proxy)
	g.tb.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// WaitPosts returns when there were so many requests.
func (g *Google) WaitPosts(n int) {
	g.tb.Helper()
	g.wait(g.tb, strconv.Itoa(n)+" requests", func() bool { return len(g.posts) >= n })
}

// WaitConnected returns when a browser is there.
func (g *Google) WaitConnected() {
	g.tb.Helper()
	g.wait(g.tb, "a browser's login", func() bool { return g.conn != nil })
}

// WaitAway returns when none is.
func (g *Google) WaitAway() {
	g.tb.Helper()
	g.wait(g.tb, "the browser to go away", func() bool { return g.conn == nil })
}

// WaitTaken returns when the browser has acknowledged every message.
func (g *Google) WaitTaken() {
	g.tb.Helper()
	g.wait(g.tb, "every message to be taken", func() bool { return len(g.queue) == 0 })
}

// WaitUnregistered returns when the browser has given every subscription up.
func (g *Google) WaitUnregistered() {
	g.tb.Helper()
	g.wait(g.tb, "the end of the subscription", func() bool {
		for _, r := range g.registrations {
			if r.key != "" && !r.gone {
				return false
			}
		}
		return true
	})
}

// checkIn names the browser (AndroidCheckinResponse: 1 stats_ok, 3 time_msec,
// 7 android_id, 8 security_token).
func (g *Google) checkIn(w http.ResponseWriter, _ *http.Request) {
	g.journal.add("check-in")
	out := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	out = protowire.AppendVarint(protowire.AppendTag(out, 3, protowire.VarintType), uint64(time.Now().UnixMilli()))
	out = protowire.AppendFixed64(protowire.AppendTag(out, 7, protowire.Fixed64Type), 4242424242)
	out = protowire.AppendFixed64(protowire.AppendTag(out, 8, protowire.Fixed64Type), 777777)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(out)
}

// register makes a subscription, or ends one. Chromium registers something of
// its own, too, without a key.
func (g *Google) register(w http.ResponseWriter, r *http.Request) {
	subtype := r.PostFormValue("X-subtype")
	if r.PostFormValue("delete") == "true" {
		g.journal.add("unregister " + subtype)
		g.Lock()
		for _, known := range g.registrations {
			known.gone = known.gone || known.subtype == subtype
		}
		g.change()
		_, _ = fmt.Fprintf(w, "token=%s", subtype)
		return
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	token := hex.EncodeToString(raw)
	g.journal.add("register " + subtype)
	made := &registration{app: r.PostFormValue("app"), subtype: subtype}
	if subtype != "" {
		made.key = r.PostFormValue("sender")
	}
	g.Lock()
	g.registrations[token] = made
	g.change()
	_, _ = fmt.Fprintf(w, "token=%s", token)
}

// send takes a sender's message.
func (g *Google) send(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	post, status, why := readPost(g.origin+"/fcm/send/"+token, r, time.Now())
	g.Lock()
	to := g.registrations[token]
	switch {
	case status != 0:
	case to == nil || to.key == "":
		status, why = http.StatusNotFound, "no such endpoint"
	default:
		status, why = admit(to.gone, to.key, g.origin, r, time.Now())
	}
	post.Status, post.Why = status, why
	if status == http.StatusCreated {
		g.sequence++
		post.Version = fmt.Sprintf("0:%d%%stand-in", g.sequence)
		g.enqueue(&outgoing{Post: post, token: token})
	}
	g.posts = append(g.posts, post)
	g.journal.add(fmt.Sprintf("POST ttl=%d topic=%q %d bytes: %d %s", post.TTL, post.Topic, len(post.Body), status, why))
	g.flush()
	g.change()
	if status != http.StatusCreated {
		http.Error(w, why, status)
		return
	}
	w.Header().Set("Location", g.origin+"/m/"+strconv.Itoa(g.sequence))
	w.Header().Set("TTL", strconv.Itoa(post.TTL))
	w.WriteHeader(status)
}

// enqueue keeps a message: in the place of one of the same Topic that waits; one
// with TTL 0 only for a browser that is there. The lock is held.
func (g *Google) enqueue(m *outgoing) {
	if m.TTL == 0 && g.conn == nil {
		return
	}
	if m.Topic != "" {
		g.queue = slices.DeleteFunc(g.queue, func(old *outgoing) bool {
			return old.stream == 0 && old.Topic == m.Topic && old.token == m.token
		})
	}
	g.queue = append(g.queue, m)
}
