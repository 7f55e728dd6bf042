package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

const (
	unsubscribeMark = "https://unsubscribe.0123456789abcdef.invalid/"
	helpMark        = "https://help.0123456789abcdef.invalid/"
)

func samplePattern() Mail {
	p := sampleMail()
	p.List.Unsubscribe, p.List.Help = unsubscribeMark, helpMark
	p.Text += ".\n..dots\nManage: " + helpMark + "\nLeave: " + unsubscribeMark + "\n\nSNOWLAND s.r.o.\n"
	p.HTML += `<p><a class="link" href="` + helpMark + `">Manage</a> · <a href="` + unsubscribeMark + `">Leave</a>` + "\n<p>SNOWLAND  s.r.o.\t\n"
	return p
}

func sampleCopy() Copy {
	s := sampleMail()
	return Copy{To: s.To, MessageID: s.MessageID, Date: s.Date, Unsubscribe: s.List.Unsubscribe, Help: s.List.Help, FeedbackID: s.List.FeedbackID}
}

// full is the mail that a copy of a pattern should be.
func full(pattern Mail, c Copy) Mail {
	plain := strings.NewReplacer(pattern.List.Unsubscribe, c.Unsubscribe, pattern.List.Help, c.Help)
	entities := strings.NewReplacer("&", "&amp;", "'", "&#39;", "<", "&lt;", ">", "&gt;", `"`, "&#34;")
	escaped := strings.NewReplacer(pattern.List.Unsubscribe, entities.Replace(c.Unsubscribe), pattern.List.Help, entities.Replace(c.Help))
	m := pattern
	m.To, m.MessageID, m.Date = c.To, c.MessageID, c.Date
	m.List.Unsubscribe, m.List.Help, m.List.FeedbackID = c.Unsubscribe, c.Help, c.FeedbackID
	m.Text, m.HTML = plain.Replace(wholeLines(pattern.Text)), escaped.Replace(wholeLines(pattern.HTML))
	return m
}

func prepare(t rapid.TB, m *Mailer, pattern Mail) *Plate {
	t.Helper()
	p, err := m.Prepare(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func printed(t rapid.TB, p *Plate, c Copy) *Letter {
	t.Helper()
	l, err := p.Print(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPrintGolden(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	l := printed(t, prepare(t, m, samplePattern()), sampleCopy())
	golden(t, "copy.eml", strings.ReplaceAll(string(l.Bytes()), "\r\n", "\n"))
}

// drawText is lines of many lengths and scripts, with marks anywhere.
func drawText(t *rapid.T, name string) string {
	words := rapid.SampledFrom([]string{"a", "word", ".", "..", "=", " ", "  ", "\t", "\n", "\n\n", "\r\n", "\r", "é", "日本の外相", "मंत्री ", unsubscribeMark, helpMark,
		"\n" + unsubscribeMark, "\n." + helpMark + "\n", strings.Repeat("x", 70), strings.Repeat("long line ", 12), strings.Repeat("é", 40)})
	text := strings.Join(rapid.SliceOfN(words, 1, 60).Draw(t, name), "")
	if rapid.Bool().Draw(t, name+" in Hindi") {
		text = strings.Repeat("जापान के मंत्री ", 20) + text
	}
	return text
}

func drawLink(t *rapid.T, name string) string {
	return "https://" + rapid.StringMatching(`[a-z]{1,20}\.example/[A-Za-z0-9._~=&?/'-]{0,300}`).Draw(t, name)
}

func drawCopy(t *rapid.T) Copy {
	return Copy{To: rapid.StringMatching(`[a-z0-9!#$%&*+/=?_-]{1,60}@[a-z]{1,60}\.example`).Draw(t, "to"),
		MessageID: rapid.StringMatching(`[a-z0-9.]{1,90}@news\.example`).Draw(t, "id"),
		Date:      time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "date"), 0).UTC(), Unsubscribe: drawLink(t, "unsubscribe"), Help: drawLink(t, "help"),
		FeedbackID: rapid.StringMatching(`[a-zA-Z0-9:_-]{1,90}( [a-z]{1,40}){0,5}`).Draw(t, "feedback")}
}

// A copy of a plate is, byte for byte, the mail that go-mail composes for the
// reader alone.
func TestPrintIsCompose(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	rapid.Check(t, func(t *rapid.T) {
		pattern := samplePattern()
		pattern.Text, pattern.HTML = drawText(t, "text"), drawText(t, "html")
		if rapid.Bool().Draw(t, "no mailto") {
			pattern.List.Mailto = ""
		}
		plate := prepare(t, m, pattern)
		whole := pattern
		whole.Text, whole.HTML = wholeLines(pattern.Text), wholeLines(pattern.HTML)
		for range 2 {
			c := drawCopy(t)
			l := printed(t, plate, c)
			want, err := m.compose(full(pattern, c), layoutOf(whole, contentName(whole)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(l.Bytes(), want) {
				t.Fatal(cmp.Diff(string(want), string(l.Bytes())))
			}
			checkWire(t, l)
		}
	})
}

// Every length of a header's value is folded as go-mail folds it.
func TestPrintFoldsAsGoMailDoes(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	pattern := samplePattern()
	plate := prepare(t, m, pattern)
	for n := range 100 {
		c := sampleCopy()
		word := strings.Repeat("x", n)
		c.FeedbackID, c.Help, c.MessageID, c.To = "a "+word+" b", "https://news.example/"+word, word+"@news.example", "a"+word[:n/2]+"@mail.example"
		want, err := m.compose(full(pattern, c), layoutOf(pattern, contentName(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		if got := printed(t, plate, c).Bytes(); !bytes.Equal(got, want) {
			t.Fatal(cmp.Diff(string(want), string(got)))
		}
	}
}

var bodyHash = regexp.MustCompile(` bh=([^;]+);`)

// The relaxed form of any lines is the library's, also of such as no encoding
// leaves: white space before and after the words.
func TestRelaxBodyIsTheLibrarys(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", func(c *Config) { c.DKIMKey, c.DKIMSelector = testKeys(t)["ed25519"], "d2026" })
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom([]string{" ", "  ", "\t", "a", "b c", "=", ".", "\r\n", "\r\n\r\n"})
		body := strings.Join(rapid.SliceOfN(words, 0, 30).Draw(t, "body"), "") + "--end--\r\n"
		signed, err := m.sign([]byte("From: digest@news.example\r\n\r\n" + body))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(relaxBody([]byte(body)))
		if got, want := base64.StdEncoding.EncodeToString(sum[:]), string(bodyHash.FindSubmatch(signed)[1]); got != want {
			t.Fatalf("%q became %q", body, relaxBody([]byte(body)))
		}
	})
}

// checkWire proves of a letter's bytes what nothing may leave without.
func checkWire(t rapid.TB, l *Letter) {
	t.Helper()
	wire := bytes.Join(l.wire, nil)
	if !wellFormed(wire) || !wellFormed(l.Bytes()) {
		t.Fatal("the letter is not well formed")
	}
	for line := range bytes.Lines(wire) {
		if line[0] == '.' && line[1] != '.' {
			t.Fatalf("a line %q would end the mail", line)
		}
	}
}

var signedAt = regexp.MustCompile(` t=([0-9]+);`)

// A signed copy is, byte for byte, what go-msgauth makes of the same mail, and
// go-msgauth verifies it.
func TestPrintSignsAsTheLibraryDoes(t *testing.T) {
	for name, key := range testKeys(t) {
		record, err := DKIMRecord(key)
		if err != nil {
			t.Fatal(err)
		}
		clock := time.Now()
		signing := newMailer(t, "smtp://127.0.0.1:25", func(c *Config) {
			c.DKIMKey, c.DKIMSelector, c.Now = key, "d2026", func() time.Time { return clock }
		})
		plain := newMailer(t, "smtp://127.0.0.1:25", nil)
		rapid.Check(t, func(t *rapid.T) {
			pattern := samplePattern()
			pattern.Text, pattern.HTML = drawText(t, "text"), drawText(t, "html")
			c := drawCopy(t)
			want, err := signing.sign(printed(t, prepare(t, plain, pattern), c).Bytes())
			if err != nil {
				t.Fatal(err)
			}
			unix, err := strconv.ParseInt(string(signedAt.FindSubmatch(want)[1]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			clock = time.Unix(unix, 0)
			l := printed(t, prepare(t, signing, pattern), c)
			if !bytes.Equal(l.Bytes(), want) {
				t.Fatalf("%s: %s", name, cmp.Diff(string(want), string(l.Bytes())))
			}
			checkWire(t, l)
			verifyDKIM(t, l.Bytes(), record)
		})
	}
}

func verifyDKIM(t rapid.TB, raw []byte, record string) {
	t.Helper()
	got, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }})
	if err != nil || len(got) != 1 || got[0].Err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
}

// What one mail alone has to keep, a signed copy keeps: nothing can be added on
// the way, nor changed in the shared part or in a reader's own.
func TestSignedCopyCantBeChanged(t *testing.T) {
	key := testKeys(t)["rsa"]
	record, err := DKIMRecord(key)
	if err != nil {
		t.Fatal(err)
	}
	m := newMailer(t, "smtp://127.0.0.1:25", func(c *Config) { c.DKIMKey, c.DKIMSelector = key, "d2026" })
	plate := prepare(t, m, samplePattern())
	first, second := sampleCopy(), sampleCopy()
	second.To, second.Unsubscribe = "other@mail.example", "https://news.example/unsubscribe/"+strings.Repeat("o", 46)
	for _, c := range []Copy{first, second, first} {
		verifyDKIM(t, printed(t, plate, c).Bytes(), record)
	}
	raw := string(printed(t, plate, first).Bytes())
	for _, changed := range []string{
		"List-Unsubscribe: <https://evil.example/>\r\n" + raw, "Reply-To: a@evil.example\r\n" + raw, "List-Help: <https://evil.example/>\r\n" + raw,
		strings.Replace(raw, "ttt", "tut", 1), strings.Replace(raw, "SNOWLAND", "SNOWMAN", 1), strings.Replace(raw, "urgent", "no", 1),
		strings.Replace(raw, "List-Unsubscribe-Post", "X-Post", 1), strings.Replace(raw, "reader@", "writer@", 1),
	} {
		got, err := dkim.VerifyWithOptions(strings.NewReader(changed), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }})
		if err == nil && len(got) == 1 && got[0].Err == nil || changed == raw {
			t.Errorf("a change verifies: %.60q", changed)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	for name, change := range map[string]func(*Mail){
		"no text":        func(x *Mail) { x.Text = "" },
		"no HTML":        func(x *Mail) { x.HTML = "" },
		"no mark":        func(x *Mail) { x.List.Unsubscribe = "" },
		"mark in mark":   func(x *Mail) { x.List.Help = unsubscribeMark + "help" },
		"mark to escape": func(x *Mail) { x.List.Help = "https://help.invalid/?a&b" },
		"short mark":     func(x *Mail) { x.List.Help = "https://a" },
		"header":         func(x *Mail) { x.Headers = map[string]string{"A": "x\r\nBcc: y"} },
		"long header":    func(x *Mail) { x.Headers = map[string]string{"A": strings.Repeat("x", 1000)} },
	} {
		bad := samplePattern()
		change(&bad)
		if _, err := m.Prepare(bad); err == nil {
			t.Errorf("%s: prepared", name)
		}
	}
}

func TestPrintRefuses(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	plate := prepare(t, m, samplePattern())
	for name, change := range map[string]func(*Copy){
		"no date":       func(c *Copy) { c.Date = time.Time{} },
		"address":       func(c *Copy) { c.To = "a@b.example\r\nBcc: c@d.example" },
		"message id":    func(c *Copy) { c.MessageID = "a@b>\r\nBcc: c" },
		"no way out":    func(c *Copy) { c.Unsubscribe = "" },
		"list link":     func(c *Copy) { c.Unsubscribe = "https://news.example/\r\nBcc: y" },
		"list link (2)": func(c *Copy) { c.Unsubscribe = `https://news.example/"` },
		"help":          func(c *Copy) { c.Help = "https://news.example/\n.\n" },
		"not ASCII":     func(c *Copy) { c.Help = "https://news.example/é" },
		"NUL":           func(c *Copy) { c.FeedbackID = "a\x00b" },
		"too long":      func(c *Copy) { c.Help = "https://news.example/" + strings.Repeat("x", 1000) },
	} {
		bad := sampleCopy()
		change(&bad)
		if _, err := plate.Print(bad); err == nil {
			t.Errorf("%s: printed", name)
		} else if strings.Contains(err.Error(), reader) {
			t.Errorf("%s: the error holds the address: %v", name, err)
		}
	}
}

// Whatever a copy is said to have of its own, it adds no header, ends no mail
// and stands in the parts as it was given.
func FuzzPrint(f *testing.F) {
	s := sampleCopy()
	f.Add(s.To, s.MessageID, s.Unsubscribe, s.Help, s.FeedbackID)
	f.Add("a@b.example\r\nBcc: c@d.example", "a@b", "https://x.example/\r\n.\r\n", "\n.\n", "a\rb")
	f.Add(s.To, s.MessageID, "https://x.example/"+strings.Repeat("=.", 60), "https://x.example/<>&'\"", "a  b ")
	m, err := New(Config{Server: Server{Host: "127.0.0.1", Port: 25}, From: "Asia Desk <digest@news.example>"})
	if err != nil {
		f.Fatal(err)
	}
	plate, err := m.Prepare(samplePattern())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to, id, unsubscribe, help, feedback string) {
		c := Copy{To: to, MessageID: id, Date: s.Date, Unsubscribe: unsubscribe, Help: help, FeedbackID: feedback}
		l, err := plate.Print(c)
		if err != nil {
			return
		}
		checkWire(t, l)
		r, err := mail.CreateReader(bytes.NewReader(l.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Header.Len(); n != len(plate.fields) {
			t.Errorf("%d header fields, want %d", n, len(plate.fields))
		}
		arrived := simulate.Mail{Raw: l.Bytes()}
		text, _, err := arrived.Parts()
		if err != nil || !strings.Contains(text, "\r\nManage: "+help) || !strings.Contains(text, "\r\nLeave: "+unsubscribe) {
			t.Errorf("%v: %q", err, text)
		}
	})
}

func TestSendLetter(t *testing.T) {
	s := startServer(t, simulate.MailOptions{})
	key := testKeys(t)["rsa"]
	record, err := DKIMRecord(key)
	if err != nil {
		t.Fatal(err)
	}
	m := newMailer(t, s.URL(), func(c *Config) { c.DKIMKey, c.DKIMSelector = key, "d2026" })
	c := sampleCopy()
	c.Help = "https://news.example/manage/" + strings.Repeat(".", 120) // a soft break before one of them
	l := printed(t, prepare(t, m, samplePattern()), c)
	check(t, m.SendLetter(t.Context(), m.Address(), reader, l, nil), news.Accepted, ReasonAccepted)
	check(t, m.SendLetter(t.Context(), m.Address(), reader, &Letter{}, nil), news.Refused, ReasonMalformed)
	check(t, m.SendLetter(t.Context(), m.Address(), "a b@c.example", l, nil), news.Refused, ReasonAddress)
	mails := s.To(reader)
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	if !bytes.Equal(mails[0].Raw, l.Bytes()) {
		t.Error(cmp.Diff(string(l.Bytes()), string(mails[0].Raw)))
	}
	verifyDKIM(t, mails[0].Raw, record)
	text, page, err := mails[0].Parts()
	if err != nil || !strings.Contains(text, "Manage: "+c.Help+"\r\n") || !strings.Contains(page, `href="`+c.Unsubscribe+`"`) ||
		!strings.Contains(text, "\r\n.\r\n..dots\r\n") {
		t.Errorf("%v: %q, %q", err, text, page)
	}
}
