package email

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test -update accepts it):\n%s", name, diff)
	}
}

func sampleMail() Mail {
	return Mail{
		To: reader, Subject: "Japan risks losing trust of allies over cybersecurity flaws, minister warns – 日本",
		Text: "TOKYO, 6 Feb, 10:30 JST — Tokyo’s foreign minister calls for urgent action.\n", HTML: "<p>TOKYO, 6 Feb, 10:30 JST — Tokyo’s foreign minister</p>\n",
		MessageID: "digest.20260206.0123456789abcdef0123456789abcdef@news.example",
		Date:      time.Date(2026, 2, 6, 22, 0, 0, 0, time.UTC),
		List: List{ID: "digest.news.example", Name: "Dateline digest",
			Unsubscribe: "https://news.example/unsubscribe/" + strings.Repeat("t", 46), Mailto: "digest@news.example",
			Help: "https://news.example/manage/" + strings.Repeat("m", 51), FeedbackID: "20260206:Asia-Tokyo:digest:dateline"},
	}
}

func TestComposeGolden(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	raw, err := m.Compose(sampleMail())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "mail.eml", strings.ReplaceAll(string(raw), "\r\n", "\n"))
	if !wellFormed(raw) {
		t.Error("the mail is not well formed")
	}
	again, err := m.Compose(sampleMail())
	if err != nil || !bytes.Equal(raw, again) {
		t.Errorf("the same mail gave other bytes (%v)", err)
	}
}

func TestComposeHeadersReadBack(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	want := sampleMail()
	raw, err := m.Compose(want)
	if err != nil {
		t.Fatal(err)
	}
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := r.Header.Subject()
	if err != nil || subject != want.Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	for name, value := range map[string]string{
		"List-Unsubscribe": "<" + want.List.Unsubscribe + ">, <mailto:digest@news.example?subject=unsubscribe&body=https%3A%2F%2Fnews.example%2Funsubscribe%2F" +
			strings.Repeat("t", 46) + ">",
		"List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"List-Id":               "Dateline digest <digest.news.example>",
		"Auto-Submitted":        "auto-generated",
		"Precedence":            "bulk",
		"Feedback-Id":           want.List.FeedbackID,
		"Message-Id":            "<" + want.MessageID + ">",
		"From":                  `"Asia Desk" <digest@news.example>`,
	} {
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
}

// T59: a subject can't add a header.
func TestT59SubjectWithLineBreak(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	evil := sampleMail()
	evil.Subject = "Breaking\r\nBcc: everybody@mail.example\n\n<script>"
	raw, err := m.Compose(evil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Has("Bcc") {
		t.Error("the subject added a header")
	}
	if subject, _ := r.Header.Subject(); subject != "Breaking Bcc: everybody@mail.example <script>" {
		t.Errorf("subject %q", subject)
	}
}

func TestComposeRefuses(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	for name, change := range map[string]func(*Mail){
		"no date":       func(x *Mail) { x.Date = time.Time{} },
		"no text":       func(x *Mail) { x.Text = "" },
		"no HTML":       func(x *Mail) { x.HTML = "" },
		"address":       func(x *Mail) { x.To = "a@b.example\r\nBcc: c@d.example" },
		"message id":    func(x *Mail) { x.MessageID = "a@b>\r\nBcc: c" },
		"header name":   func(x *Mail) { x.Headers = map[string]string{"A\r\nBcc": "x"} },
		"header value":  func(x *Mail) { x.Headers = map[string]string{"A": "x\r\nBcc: y"} },
		"list link":     func(x *Mail) { x.List.Unsubscribe = "https://news.example/\r\nBcc: y" },
		"list link (2)": func(x *Mail) { x.List.Unsubscribe = `https://news.example/"` },
	} {
		bad := sampleMail()
		change(&bad)
		if _, err := m.Compose(bad); err == nil {
			t.Errorf("%s: composed", name)
		} else if strings.Contains(err.Error(), reader) {
			t.Errorf("%s: the error holds the address: %v", name, err)
		}
	}
}

func TestComposePicksTheShorterEncoding(t *testing.T) {
	m := newMailer(t, "smtp://127.0.0.1:25", nil)
	for text, want := range map[string]string{
		strings.Repeat("a line of plain text from the café ", 300): "quoted-printable",
		strings.Repeat("जापान के मंत्री ", 300):                    "base64",
		strings.Repeat("日本の外務大臣は", 300):                            "base64",
	} {
		mail := sampleMail()
		mail.Text, mail.HTML = text, "<p>"+text+"</p>"
		raw, err := m.Compose(mail)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(raw, []byte("Content-Transfer-Encoding: "+want)) {
			t.Errorf("%.20q is not %s", text, want)
		}
	}
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func testKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"rsa": r, "ed25519": e}
}

func TestDKIMVerifiesAndCoversTheListHeaders(t *testing.T) {
	for name, key := range testKeys(t) {
		parsed, err := ParseDKIMKey(pkcs8(t, key))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		record, err := DKIMRecord(parsed)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		other := testKeys(t)[name]
		if !FitsDKIMRecord(parsed, record) || FitsDKIMRecord(other, record) || FitsDKIMRecord(parsed, "v=DKIM1; p=") {
			t.Errorf("%s: the record %q is taken for another's, or another's for it", name, record)
		}
		m := newMailer(t, "smtp://127.0.0.1:25", func(c *Config) { c.DKIMKey, c.DKIMSelector = parsed, "d2026" })
		raw, err := m.Compose(sampleMail())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !wellFormed(raw) {
			t.Errorf("%s: the signed mail is not well formed", name)
		}
		lookup := func(domain string) ([]string, error) {
			if domain != "d2026._domainkey.news.example" {
				t.Errorf("%s: looked up %s", name, domain)
			}
			return []string{record}, nil
		}
		verify := func(raw []byte) *dkim.Verification {
			got, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: lookup})
			if err != nil || len(got) != 1 {
				t.Fatalf("%s: %v, %d signatures", name, err, len(got))
			}
			return got[0]
		}
		v := verify(raw)
		if v.Err != nil || v.Domain != "news.example" {
			t.Errorf("%s: %v, domain %s", name, v.Err, v.Domain)
		}
		covered := strings.ToLower(strings.Join(v.HeaderKeys, " "))
		for _, want := range []string{"list-unsubscribe", "list-unsubscribe-post", "from", "list-id"} {
			if !strings.Contains(covered, want) {
				t.Errorf("%s: %s is not covered by %s", name, want, covered)
			}
		}
		for _, change := range []string{"List-Unsubscribe: <https://evil.example/>\r\n", "Subject: other\r\n", "From: other@news.example\r\n",
			"Reply-To: other@evil.example\r\n", "Cc: many@mail.example\r\n", "Content-Type: text/plain\r\n", "List-Help: <https://evil.example/>\r\n"} {
			if v := verify(append([]byte(change), raw...)); v.Err == nil {
				t.Errorf("%s: an added %q verifies", name, change)
			}
		}
	}
}

func TestParseDKIMKeyRefuses(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)}))
	for name, text := range map[string]string{"not PEM": "hello", "PKCS 1": pkcs1, "garbage": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"1024 bits": pkcs8(t, small)} {
		if _, err := ParseDKIMKey(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{Server: Server{Host: "127.0.0.1", Port: 25}, From: "digest@news.example"}
	for name, change := range map[string]func(*Config){
		"no server":    func(c *Config) { c.Server = Server{} },
		"no sender":    func(c *Config) { c.From = "" },
		"odd sender":   func(c *Config) { c.From = "Desk <digest>" },
		"two lines":    func(c *Config) { c.From = "Desk\r\nBcc: x <digest@news.example>" },
		"bad selector": func(c *Config) { c.DKIMKey, c.DKIMSelector = testKeys(t)["ed25519"], "a b" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
