package bounce

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/email"
)

// T65: whatever a robot writes, it is no bounce. The texts are those of real
// bounces, with the codes where servers have them.
func TestT65_RobotsAreNoBounces(t *testing.T) {
	texts := []string{"550 5.1.1 User unknown", "Your message could not be delivered (#5.1.1)", "Hi. This is the qmail-send program at mail.example.\nI could not deliver (#5.1.1)",
		"Status: 5.1.1\nAction: failed", "delivery failed: 550-5.1.1 gone"}
	rapid.Check(t, func(t *rapid.T) {
		header := rapid.SampledFrom([]string{"Auto-Submitted: auto-replied\nSubject: I am away\n", "Subject: Automatic reply: News\n", "X-Autoreply: yes\nSubject: News\n",
			"Precedence: auto_reply\nSubject: News\n", "Subject: =?utf-8?b?6Ieq5YuV5b+c562U?=\n", "X-Autorespond: News\nAuto-Submitted: auto-replied (vacation)\n"}).Draw(t, "header")
		from := rapid.SampledFrom([]string{"reader@mail.example", "\"Reader, A.\" <reader@mail.example>"}).Draw(t, "from")
		if strings.Contains(header, "Subject: A") || strings.Contains(header, "X-A") || strings.Contains(header, "Precedence") {
			from = rapid.SampledFrom([]string{from, "postmaster@mail.example", "MAILER-DAEMON@mail.example"}).Draw(t, "server") // a robot of theirs
		}
		raw := "From: " + from + "\n" + header + "\n" + strings.Join(rapid.SliceOf(rapid.SampledFrom(texts)).Draw(t, "texts"), "\n")
		if got := Read([]byte(raw), base); got.Kind != AutoReply {
			t.Fatalf("%+v of\n%s", got, raw)
		}
	})
}

// A person who quotes a code, in whatever part of a mail, bounces nobody.
func TestPeopleAreNoBounces(t *testing.T) {
	for _, raw := range []string{
		"From: kim@mail.example\nSubject: Undelivered Mail Returned to Sender\n\n550 5.1.1 could not be delivered\n",
		"From: kim@mail.example\nSubject: x\n\nHi. This is the office of Kim. We could not deliver the flowers.\n",
		"From: kim@mail.example\nSubject: x\nContent-Type: text/html\n\n<p>550 5.1.1 user unknown</p>\n",
		"Subject: no sender\n\n550 5.1.1 could not be delivered\n",
		"From: postmaster@mail.example\nSubject: Maintenance on Friday\n\nOur mailboxes move to a new house.\n",
		"From: postmaster@mail.example\nSubject: Hello\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nnothing\n--b--\n",
	} {
		if got := Read([]byte(raw), base); got.Kind != Strange {
			t.Errorf("%+v of\n%s", got, raw)
		}
	}
}

func TestCodes(t *testing.T) {
	for text, want := range map[string]string{
		"550 5.1.1 no":                         "5.1.1",
		"550-5.1.1 no\n550 5.1.1 really":       "5.1.1",
		"554 5.0.0 trouble: 550 5.7.1 refused": "5.7.1",
		"Sorry (#5.1.1)":                       "5.1.1",
		"<mx.mail.example #5.1.10 smtp;550>":   "5.1.10",
		"dsn=5.2.1, status=bounced":            "5.2.1",
		"said: 5.4.4.":                         "5.4.4",
		"550 5.1.1.4 is an address":            "",
		"550 5.1.1234":                         "",
		"550 5.1.1a":                           "",
		"550 5.9.1 has no such subject":        "",
		"550 no":                               "",
		"5.1.1":                                "",
		"version 4.96.2":                       "",
		"10.5.1.1 said 550":                    "",
	} {
		if got := answerCode(text); got != want {
			t.Errorf("answerCode(%q) = %q, want %q", text, got, want)
		}
	}
}

// What a field says decides; where two disagree, the server that refused.
func TestDeliveryFields(t *testing.T) {
	for _, test := range []struct {
		name, fields string
		kind         Kind
		status       string
		reason       string
	}{
		{"no action", "Status: 5.1.1\n", Failed, "5.1.1", email.ReasonHardBounce},
		{"no action, for now", "Status: 4.2.2\n", Delayed, "4.2.2", email.ReasonDeferred},
		{"no status", "Action: failed\n", Failed, "", email.ReasonSoftBounce},
		{"no status, a plain answer", "Action: failed\nDiagnostic-Code: smtp; 550 go away\n", Failed, "", email.ReasonSoftBounce},
		{"unheard-of action", "Action: pondered\nStatus: 2.0.0\n", Other, "2.0.0", ""},
		{"expanded", "Action: expanded\nStatus: 2.0.0\n", Other, "2.0.0", ""},
		{"the answer is a policy's", "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.7.1 blocked\n", Failed, "5.7.1", email.ReasonPolicy},
		{"the answer is of another class", "Action: failed\nStatus: 5.4.7\nDiagnostic-Code: smtp; 450 4.1.1 unknown\n", Failed, "5.4.7", email.ReasonSoftBounce},
		{"the answer is vague", "Action: failed\nStatus: 5.2.1\nDiagnostic-Code: smtp; 550 5.0.0 no\n", Failed, "5.2.1", email.ReasonHardBounce},
		{"tried in vain against a policy", "Action: failed\nStatus: 4.7.26\n", Failed, "4.7.26", email.ReasonPolicy},
		{"tried in vain", "Action: failed\nStatus: 4.2.1\n", Failed, "4.2.1", email.ReasonSoftBounce},
		{"failed, says one; done, says the other", "Action: failed\nStatus: 2.0.0\n", Failed, "2.0.0", email.ReasonSoftBounce},
		{"no type", "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: 550 5.2.2 full\n", Failed, "5.2.2", email.ReasonSoftBounce},
		{"delayed for one, failed for another", "Action: failed\nStatus: 5.1.1\n\nAction: delayed\nStatus: 4.4.1\n", Delayed, "4.4.1", email.ReasonDeferred},
		{"hard for all", "Action: failed\nStatus: 5.1.1\n\nAction: failed\nStatus: 5.2.1\n", Failed, "5.1.1", email.ReasonHardBounce},
		{"policy for one", "Action: failed\nStatus: 5.1.1\n\nAction: failed\nStatus: 5.7.1\n", Failed, "5.7.1", email.ReasonPolicy},
		{"an empty line too many", "Final-Recipient: rfc822; a@b.example\n\nAction: failed\nStatus: 5.1.1\n", Failed, "5.1.1", email.ReasonHardBounce},
		{"an original recipient", "Original-Recipient: rfc822; a@b.example\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n", Failed, "5.1.1", email.ReasonHardBounce},
	} {
		raw := "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a\n\n" + test.fields + "--b--\n"
		got := Read([]byte(raw), base)
		if got.Kind != test.kind || got.Status != test.status || got.Reason != test.reason {
			t.Errorf("%s: %+v", test.name, got)
		}
		checkReport(t, got)
	}
}

// The same groups, in whatever order and however often, say the same.
func TestOrderOfGroupsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.SampledFrom([]string{"Action: failed\nStatus: 5.1.1\n", "Action: failed\nStatus: 5.2.2\n", "Action: failed\nStatus: 5.7.1\n",
			"Action: delayed\nStatus: 4.4.1\n", "Action: relayed\nStatus: 2.0.0\n"}), 1, 6).Draw(t, "groups")
		read := func(groups []string, between string) Report {
			r := Read([]byte("Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"+strings.Join(groups, between)+"--b--\n"), base)
			r.ID = ""
			return r
		}
		want := read(groups, "\n")
		shuffled := rapid.Permutation(groups).Draw(t, "shuffled")
		for _, got := range []Report{read(shuffled, "\n"), read(shuffled, ""), read(append(shuffled, groups...), "\n")} {
			if got.Kind != want.Kind || got.Status != want.Status || got.Reason != want.Reason {
				t.Fatalf("%+v, want %+v", got, want)
			}
		}
	})
}

func TestMessageID(t *testing.T) {
	for field, want := range map[string]string{
		"<a@b>":                          "a@b",
		" a@b ":                          "a@b",
		"(c) <a@b> <c@d>":                "a@b",
		"":                               "",
		"<>":                             "",
		"<a b@c>":                        "",
		"<a\x01@c>":                      "",
		"<ü@c>":                          "",
		"<" + strings.Repeat("a", 251):   "",
		"<" + strings.Repeat("a", 250):   strings.Repeat("a", 250),
		"a@b\r\n injected: header-to-be": "",
	} {
		if got := messageID(field); got != want {
			t.Errorf("messageID(%q) = %q, want %q", field, got, want)
		}
	}
	// Nobody can make an id that looks like a hash.
	if got := Read([]byte("Message-ID: <sha256:0>\n\n"), base); !got.Hashed || got.ID == "sha256:0" {
		t.Errorf("%+v", got)
	}
}

// hostile are mails made to cost as much as a mail of a megabyte can.
func hostile() map[string]string {
	const size = 1 << 20
	deep := strings.Builder{}
	for i := range 4000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/report; boundary=b%d\n\n--b%d\n", i, i)
	}
	rfc822 := strings.Repeat("Content-Type: message/rfc822\n\n", size/30)
	report := "From: MAILER-DAEMON@a.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
	text := "From: MAILER-DAEMON@a.example\nSubject: returned mail\n\n"
	return map[string]string{
		"deep":             deep.String(),
		"mails in mails":   rfc822,
		"parts":            "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n", size/4),
		"parts with text":  "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", size/7),
		"html parts":       "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: text/html\n\n"+strings.Repeat("<style ", 2000), 60),
		"fields":           strings.Repeat("a:\n", size/3),
		"fields of a part": "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Repeat("a:\n", size/3),
		"one field":        "a: " + strings.Repeat("x", size),
		"folded field":     "a: x\n" + strings.Repeat(" x\n", size/3),
		"no fields":        strings.Repeat("x\n", size/2),
		"content type":     "Content-Type: " + strings.Repeat("a;b=c;", size/6),
		"encoded words":    "Subject: " + strings.Repeat("=?utf-8?q?x?= ", size/14),
		"groups":           report + strings.Repeat("Action: failed\nStatus: 5.1.1\n\n", size/31),
		"group":            report + strings.Repeat("Action: failed\n", size/15),
		"odd fields":       report + strings.Repeat("a:b\n", size/4),
		"folded group":     report + "Action: failed\nDiagnostic-Code: x;\n" + strings.Repeat(" 5\n", size/3),
		"codes":            text + strings.Repeat("550 5.1.1 ", size/10),
		"almost codes":     text + strings.Repeat("550 5.1.1.", size/10),
		"lines":            text + strings.Repeat("\n", size),
		"dashes":           text + strings.Repeat("--", size/2),
		"tokens":           report + "\n--b\nContent-Type: message/rfc822\n\n" + strings.Repeat("X: digest+digest+digest+\n", size/25),
		"tags":             "Content-Type: text/html\n\n" + strings.Repeat("<br<", size/4),
		"base64":           "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUFB", size/4),
		"japanese":         "Content-Type: text/plain; charset=iso-2022-jp\n\n" + strings.Repeat("\x1b$B\x1b(B", size/6),
		"nul":              strings.Repeat("\x00", size),
	}
}

// A mail costs what its size may cost: no more than some of its own size in
// memory at any time, and nothing that grows faster than it.
func TestHostileMailsCostLittle(t *testing.T) {
	for name, raw := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			checkReport(t, Read([]byte(raw), base))
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MiB allocated", took, allocated)
			// Ten times what was measured under the race detector.
			if took > 10*time.Second || allocated > 200 {
				t.Errorf("%v, %d MiB allocated", took, allocated)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.eml")
	for _, file := range files {
		raw := readFile(f, file)
		f.Add(raw)
		f.Add(bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := Read(raw, base)
		checkShape(t, r)
		if strings.Contains(r.Detail, "@") || strings.Contains(r.Detail, "://") {
			t.Errorf("detail %q", r.Detail)
		}
		for _, token := range r.Tokens {
			if len(token) < minToken || strings.ContainsFunc(token, notToken) {
				t.Errorf("token %q", token)
			}
		}
		if again := Read(raw, base); again.ID != r.ID || again.Kind != r.Kind || again.Status != r.Status {
			t.Errorf("read twice: %+v and %+v", r, again)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	raw := bytes.ReplaceAll(readFile(b, "testdata/postfix.eml"), []byte("\n"), []byte("\r\n"))
	b.ReportAllocs()
	for b.Loop() {
		Read(raw, base)
	}
}
