package bounce

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/email"
)

// The mails in testdata are modelled on what the servers named send. They are
// all about one mail of ours.
const (
	base   = "digest@news.example"
	tokenB = "baebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi"
	tokenU = "uaebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi"
	ours   = "digest-2026-11-24-7f3a@news.example"
)

// corpus is what each of them says.
var corpus = map[string]Report{
	"another-list":             {Kind: AutoReply, ID: "p2@elsewhere.example"},
	"arf-auth-failure":         {Kind: Other, FeedbackType: "auth-failure", ID: "af@mail.example", Original: ours, Tokens: []string{tokenB, tokenU}},
	"arf-no-original-envelope": {Kind: Complaint, FeedbackType: "abuse", ID: "mailru1@mail.ru.example", Original: ours, Tokens: []string{tokenU}},
	"arf-not-spam":             {Kind: Other, FeedbackType: "not-spam", ID: "ns@mail.example", Original: ours, Tokens: []string{tokenB, tokenU}},
	"arf-optout":               {Kind: Complaint, FeedbackType: "opt-out", ID: "opt@mail.example", Original: ours, Tokens: []string{tokenB, tokenU}},
	"arf-yahoo":                {Kind: Complaint, FeedbackType: "abuse", ID: "cfl1@arf.mail.yahoo.example", Original: ours, Tokens: []string{tokenB, tokenU}},
	"autoreply-japanese":       {Kind: AutoReply, ID: "ooo5@mail.example"},
	"autoreply-x-header":       {Kind: AutoReply, ID: "ooo4@mail.example"},
	"bare-diagnostic-70k": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, ID: "70k@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550-5.1.1 (address) is not here 550-5.1.1 and we go on about it 00000 550-5.1.1 and we go on about it 00001 550-5.1.1 and we go on about it 00002 550-5.1.1 and we go on about it 00003 550-5.1.1 and we…"},
	"base64-status": {Kind: Failed, Status: "5.4.4", Reason: email.ReasonSoftBounce, ID: "b64@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "554 5.4.4 unrouteable"},
	"docomo": {Kind: Failed, Reason: email.ReasonSoftBounce, ID: "dcm1@docomo.example",
		Detail: "550 Unknown user (address)"},
	"empty": {Kind: Strange, Hashed: true},
	"exchange-old-text": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, ID: "old@mail.example",
		Detail: "<mail.example #5.1.1>"},
	"exchange-wrapped": {Kind: Failed, Status: "5.7.515", Reason: email.ReasonPolicy, ID: "20261124.1@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550 5.0.350 Remote server returned an error -> 550 5.7.515 Access denied, sending domain news.example does not meet the required authentication level"},
	"exchange": {Kind: Failed, Status: "5.1.10", Reason: email.ReasonHardBounce, ID: "5d4c@HE1PR01.mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient (address) not found by SMTP address lookup"},
	"exim-delayed": {Kind: Delayed, Status: "4.7.1", Reason: email.ReasonDeferred, ID: "20261124.1@mail.example",
		Detail: "host mx.mail.example [192.0.2.20]: 451 4.7.1 Greylisting in action"},
	"exim-no-code": {Kind: Failed, Reason: email.ReasonSoftBounce, ID: "E1abcE-0001xY-Zz@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550 Administrative prohibition"},
	"exim": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, ID: "E1abcD-0001xY-Zz@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550 5.1.1 (address) no mailbox (address) here"},
	"garbage": {Kind: Failed, Status: "5.3.0", Reason: email.ReasonSoftBounce, Hashed: true,
		Detail: "550 5.3.0 ? [31m trouble here"},
	"global-dsn": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, ID: "eai@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550 5.1.1 宛先 (address) がありません"},
	"gmail-full": {Kind: Failed, Status: "5.2.2", Reason: email.ReasonSoftBounce, ID: "6563.050a0220.1@mx.google.com", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "552-5.2.2 The recipient's inbox is out of storage space. Please direct the 552-5.2.2 recipient to 552 5.2.2 (link) d2e1a72fcca58-1si - gsmtp"},
	"gmail-unauthenticated": {Kind: Failed, Status: "5.7.26", Reason: email.ReasonPolicy, ID: "6563.050a0220.2@mx.google.com", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550-5.7.26 Your email has been blocked because the sender is unauthenticated. 550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM. 550 5.7.26 (link) - gsmtp"},
	"jmrp-bare":        {Kind: Complaint, FeedbackType: "abuse", ID: "jmrp2@hotmail.example", Original: ours, Tokens: []string{tokenB, tokenU}},
	"jmrp-old":         {Kind: Complaint, FeedbackType: "abuse", ID: "jmrp1@hotmail.example", Original: ours, Tokens: []string{tokenB, tokenU}},
	"leave-by-program": {Kind: Leave, ID: "l3@mail.example"},
	"leave-reply":      {Kind: Leave, ID: "l2@mail.example", Original: ours},
	"leave-subject":    {Kind: Leave, ID: "l1@mail.example"},
	"naver": {Kind: Failed, Status: "5.2.1", Reason: email.ReasonHardBounce, ID: "nv1@naver.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "사유: 550 5.2.1 (address) 휴면 계정"},
	"netease-raw-gbk": {Kind: Failed, Reason: email.ReasonSoftBounce, ID: "65.1@163.example",
		Detail: "(address) 550 User not found: (address)"},
	"no-blank-lines-odd-case": {Kind: Failed, Status: "5.1.2", Reason: email.ReasonHardBounce, ID: "odd@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "no route to host"},
	"out-of-office-from-postmaster": {Kind: AutoReply, ID: "ooo2@mail.example"},
	"out-of-office-unmarked":        {Kind: Strange, ID: "ooo3@mail.example"},
	"out-of-office-with-code":       {Kind: AutoReply, ID: "ooo1@mail.example", Original: ours},
	"person":                        {Kind: Strange, ID: "p1@mail.example"},
	"postfix-delayed": {Kind: Delayed, Status: "4.4.1", Reason: email.ReasonDeferred, ID: "20261124.1@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "connect to mx.mail.example[192.0.2.20]:25: Connection timed out"},
	"postfix-expired": {Kind: Failed, Status: "4.1.1", Reason: email.ReasonSoftBounce, ID: "20261124.1@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "450 4.1.1 (address) user unknown in virtual mailbox table"},
	"postfix-relayed": {Kind: Other, Status: "2.1.5", ID: "20261124.1@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "250 2.1.5 Ok"},
	"postfix": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, ID: "20261124.1@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "550 5.1.1 (address) Recipient address rejected: User unknown in local recipient table"},
	"qmail-remote": {Kind: Failed, Status: "5.7.1", Reason: email.ReasonPolicy, Hashed: true, Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "Remote host said: 550-5.7.1 Our system has detected that this message is"},
	"qmail": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, Hashed: true, Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "Sorry, no mailbox here by that name. (#5.1.1)"},
	"qq-gbk": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, ID: "tencent_1@qq.example",
		Detail: "收件人 (address) 不存在：host mx.qq.example said: 550 5.1.1 Mailbox not found (in reply to RCPT TO)"},
	"read-receipt":                 {Kind: Other, ID: "mdn@mail.example"},
	"report-forwarded-by-a-person": {Kind: Strange, ID: "fwd@mail.example", Original: "inner@inner.example", Tokens: []string{tokenB}},
	"report-in-report": {Kind: Failed, Status: "5.2.2", Reason: email.ReasonSoftBounce, ID: "outer@mail.example", Original: "inner@inner.example", Tokens: []string{tokenB},
		Detail: "could not be delivered"},
	"sendmail-warning-text": {Kind: Delayed, Reason: email.ReasonDeferred, ID: "20261124.1@mail.example",
		Detail: "Message could not be delivered for 4 hours"},
	"sendmail": {Kind: Failed, Status: "5.2.2", Reason: email.ReasonSoftBounce, ID: "202611240001.2NO01abc@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "552 5.2.2 (address) Mailbox full"},
	"several-one-delivered": {Kind: Other, Status: "2.0.0", ID: "several2@mail.example", Original: ours, Tokens: []string{tokenB, tokenU}},
	"several-recipients": {Kind: Failed, Status: "5.2.2", Reason: email.ReasonSoftBounce, ID: "several@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "552 5.2.2 over quota"},
	"status-without-report": {Kind: Failed, Status: "5.6.0", Reason: email.ReasonContent, ID: "mixed@mail.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "Delivery failed"},
	"truncated-before-status": {Kind: Failed, Status: "5.2.1", Reason: email.ReasonHardBounce, ID: "cut2@mail.example",
		Detail: "host mx.mail.example said: 550 5.2.1 disabled; could not be delivered"},
	"truncated": {Kind: Failed, Status: "5.1.1", Reason: email.ReasonHardBounce, ID: "cut@mail.example",
		Detail: "550 5.1.1 no such us"},
	"yahoo-text": {Kind: Failed, Reason: email.ReasonSoftBounce, ID: "yj1@yahoo.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "554: delivery error: dd This user doesn't have a yahoo.example account (address) [0]"},
	"yahoo-vague-status": {Kind: Failed, Status: "5.2.1", Reason: email.ReasonHardBounce, ID: "yahoo1@mta.yahoo.example", Original: ours, Tokens: []string{tokenB, tokenU},
		Detail: "552 1 Requested mail action aborted, mailbox not found [5.2.1]"},
}

func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) != len(corpus) {
		t.Fatalf("%d mails, %d reports (%v)", len(files), len(corpus), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".eml")
		t.Run(name, func(t *testing.T) {
			want, ok := corpus[name]
			if !ok {
				t.Fatal("no report to expect")
			}
			lf := readFile(t, file)
			for ends, raw := range map[string][]byte{"LF": lf, "CRLF": bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))} {
				got := Read(raw, base)
				checkReport(t, got)
				if got.Hashed && got.ID == Read(append(raw, '\n'), base).ID {
					t.Errorf("%s: another mail has the same hash", ends)
				}
				if got.Hashed {
					got.ID = ""
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: want -, got +:\n%s", ends, diff)
				}
				// Forwarded through a gateway that spells the base another way.
				if other := Read(raw, "Digest@News.Example"); !cmp.Equal(other.Tokens, want.Tokens) {
					t.Errorf("%s: tokens of another spelling: %q", ends, other.Tokens)
				}
			}
		})
	}
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// checkReport holds what every report promises, whatever the mail.
func checkReport(t testing.TB, r Report) {
	t.Helper()
	if strings.Contains(r.Detail, "@") || strings.Contains(strings.ToLower(r.Detail), "reader") || strings.Contains(r.Detail, "://") {
		t.Errorf("the detail tells who it is: %q", r.Detail)
	}
	checkShape(t, r)
}

// checkShape holds what every report promises of its form.
func checkShape(t testing.TB, r Report) {
	t.Helper()
	switch {
	case (r.Reason != "") != (r.Kind == Failed || r.Kind == Delayed):
		t.Errorf("%s has the reason %q", r.Kind, r.Reason)
	case (r.FeedbackType != "") && r.Kind != Complaint && r.Kind != Other:
		t.Errorf("%s has the feedback type %q", r.Kind, r.FeedbackType)
	case r.Reason == email.ReasonHardBounce && !strings.HasPrefix(r.Status, "5."):
		t.Errorf("hard bounce by %q", r.Status)
	case r.ID == "" || len(r.ID) > maxID || r.Hashed != strings.HasPrefix(r.ID, "sha256:"):
		t.Errorf("id %q, hashed: %v", r.ID, r.Hashed)
	case len(r.Original) > maxID || len(r.Tokens) > maxTokens || len(r.FeedbackType) > 32 || len(r.Status) > 9:
		t.Errorf("too long: %+v", r)
	case len(r.Detail) > 210 || strings.ContainsFunc(r.Detail, func(c rune) bool { return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0x202e }):
		t.Errorf("detail %q", r.Detail)
	}
}
