package showcase

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/simulate"
	"dateline/internal/web"
	"dateline/templates"
)

// stage is a showcase behind its HTTP door, with real simulated services.
type stage struct {
	*testing.T
	show     *Showcase
	http     http.Handler
	services []*simulate.PushService
	mails    *simulate.MailServer
	sender   *push.Sender

	mu  sync.Mutex
	now time.Time
}

// noon in UTC: 21:00 in Tokyo, 17:30 in Delhi, 15:00 in Riyadh.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newStage(t *testing.T, change func(*Config)) *stage {
	t.Helper()
	st := &stage{T: t, now: noon}
	authority, err := simulate.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Northwind", "Meridian"} {
		s, err := simulate.NewPushService(simulate.PushOptions{Name: name, Authority: authority, Now: st.clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		st.services = append(st.services, s)
	}
	if st.mails, err = simulate.NewMailServer(simulate.MailOptions{Now: st.clock, Keep: 400}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.mails.Close() })
	st.sender = newSender(t, st, authority)
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: "http://127.0.0.1", Now: st.clock})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Floor: floor, Outbox: st.mails, Now: st.clock}
	if change != nil {
		change(&c)
	}
	st.show = New(c)
	mux := http.NewServeMux()
	st.show.Routes(mux)
	mux.Handle("GET /static/", floor.Static())
	st.http = floor.Handler(mux)
	return st
}

func newSender(t *testing.T, st *stage, authority *simulate.Authority) *push.Sender {
	t.Helper()
	keys, err := push.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	var origins []string
	for _, s := range st.services {
		origins = append(origins, s.Origin())
	}
	sender, err := push.New(push.Config{Keys: keys, Subject: "mailto:desk@news.example", Origins: origins,
		RootCAs: authority.Pool(), Now: st.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	return sender
}

func (st *stage) clock() time.Time {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.now
}

// pass lets time go by, so that a new census is taken.
func (st *stage) pass(d time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.now = st.now.Add(d)
}

// phone makes one at the service of this index.
func (st *stage) phone(service int, label string, w news.Wishes) Phone {
	st.Helper()
	p, err := st.services[service].NewPhone()
	if err != nil {
		st.Fatal(err)
	}
	return Phone{Phone: p, Wishes: w, Label: label}
}

// wishes follows places, in a language and a zone.
func wishes(lang, zone string, regions ...string) news.Wishes {
	return news.Wishes{Preference: news.Preference{Regions: regions, Level: news.LevelNotice}, Language: lang, Timezone: zone}
}

// text is what a notification says.
type text struct{ alert, level, lang, title, body string }

// send pushes a revision to a phone, sealed by our sender.
func (st *stage) send(p Phone, n text, revision int, tag string) {
	st.Helper()
	dir := "ltr"
	if n.lang == "ar" || n.lang == "ur" {
		dir = "rtl"
	}
	payload, err := json.Marshal(map[string]any{"web_push": 8030, "notification": map[string]any{
		"title": n.title, "body": n.body, "lang": n.lang, "dir": dir, "tag": tag, "timestamp": st.clock().Add(-1500 * time.Millisecond).UnixMilli(),
		"data": map[string]any{"alert": n.alert, "revision": revision, "level": n.level, "regions": []string{"JP"}}}})
	if err != nil {
		st.Fatal(err)
	}
	st.push(p, payload)
}

// push seals by our own sender: webpush-go dates its tokens by the machine's
// clock, whatever it is told, and the services here judge them by the stage's.
func (st *stage) push(p Phone, payload []byte) {
	st.Helper()
	sub := p.Subscription()
	receipt := st.sender.Send(st.Context(), push.Target{Endpoint: sub.Endpoint, P256dh: sub.P256dh, Auth: sub.Auth},
		push.Message{Payload: payload, TTL: 60})
	if receipt.Outcome != news.Accepted {
		st.Fatalf("push: %+v", receipt)
	}
}

// mail sends one through SMTP and waits until it is there. An empty part is
// left out.
func (st *stage) mail(to, subject, plain, rich string) int {
	st.Helper()
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, part := range [][2]string{{"text/plain", plain}, {"text/html", rich}} {
		if part[1] == "" {
			continue
		}
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {part[0] + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			st.Fatal(err)
		}
		qp := quotedprintable.NewWriter(w)
		_, _ = io.WriteString(qp, part[1])
		_ = qp.Close()
	}
	_ = parts.Close()
	raw := fmt.Sprintf("From: Dateline <news@dateline.example>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%d@dateline.example>\r\n"+
		"List-Unsubscribe: <https://dateline.example/unsubscribe/x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=%s\r\n\r\n%s",
		to, mime.QEncoding.Encode("utf-8", subject), st.mails.Taken(), parts.Boundary(), body.String())
	return st.rawMail(to, raw)
}

func (st *stage) rawMail(to, raw string) int {
	st.Helper()
	if err := smtp.SendMail(st.mails.Addr(), nil, "news@dateline.example", []string{to}, []byte(raw)); err != nil {
		st.Fatal(err)
	}
	n := st.mails.Taken()
	ctx, cancel := context.WithTimeout(st.Context(), 5*time.Second)
	defer cancel()
	if err := st.mails.Wait(ctx, n); err != nil {
		st.Fatal(err)
	}
	return n
}

// answer is a page as a visitor gets it.
type answer struct {
	*testing.T
	status int
	header http.Header
	body   string
	tree   *html.Node
}

func (st *stage) get(path string) answer {
	st.Helper()
	w := httptest.NewRecorder()
	st.http.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	a := answer{T: st.T, status: w.Code, header: w.Header(), body: w.Body.String()}
	tree, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		st.Fatal(err)
	}
	a.tree = tree
	return a
}

// ok is get for pages that must be there.
func (st *stage) ok(path string) answer {
	st.Helper()
	a := st.get(path)
	if a.status != http.StatusOK {
		st.Fatalf("GET %s: %d\n%s", path, a.status, a.body)
	}
	return a
}

// with lists the elements that bear a class (".x"), an id ("#x") or a name.
func (a answer) with(selector string) []*html.Node { return with(a.tree, selector) }

func with(n *html.Node, selector string) []*html.Node {
	var found []*html.Node
	for e := range n.Descendants() {
		if e.Type != html.ElementNode {
			continue
		}
		class, name := strings.CutPrefix(selector, ".")
		id, isID := strings.CutPrefix(selector, "#")
		switch {
		case name && strings.Contains(" "+attr(e, "class")+" ", " "+class+" "),
			isID && attr(e, "id") == id,
			!name && !isID && e.Data == selector:
			found = append(found, e)
		}
	}
	return found
}

func attr(e *html.Node, name string) string {
	for _, a := range e.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// said is what an element says, with single spaces.
func said(e *html.Node) string {
	var b strings.Builder
	for n := range e.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// card is the one phone of this number.
func (a answer) card(number int) *html.Node {
	a.Helper()
	cards := a.with(fmt.Sprintf("#phone-%d", number))
	if len(cards) != 1 {
		a.Fatalf("%d cards of phone %d", len(cards), number)
	}
	return cards[0]
}

// numbers are the phones on a page.
func (a answer) numbers() string {
	var all []string
	for _, card := range a.with(".phone") {
		all = append(all, strings.TrimPrefix(attr(card, "id"), "phone-"))
	}
	return strings.Join(all, " ")
}
