package digest

import (
	"errors"
	"strings"
	"testing"

	"dateline/internal/email"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

const someMailbox = "01890a5d-ac96-774b-bcce-b302099a8057"

// TestTakeBack: what a mail says is believed of the reader alone whom its address, or for
// complaints the mail in it, names with our signature (T63), and of machines nothing that
// only people can say (T64, T65).
func TestTakeBack(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	path, leave := h.Links.Mail(link.MailBounce, someMailbox, today), h.Links.Mail(link.MailUnsubscribe, someMailbox, today)
	others := link.New([]byte("another house's key of 32 bytes!")).Mail(link.MailBounce, someMailbox, today)
	for name, c := range map[string]struct {
		token string
		kind  news.ReturnedKind
		in    []string
		want  news.MailReportKind // "" nothing is written
	}{
		"a failure":                    {token: path, kind: news.ReturnedFailed, want: news.ReportFailed},
		"in capitals":                  {token: strings.ToUpper(path), kind: news.ReturnedFailed, want: news.ReportFailed},
		"later":                        {token: path, kind: news.ReturnedDelayed, want: news.ReportDelayed},
		"a machine answers":            {token: path, kind: news.ReturnedAutoReply, want: news.ReportOther},
		"a person answers":             {token: path, kind: news.ReturnedStrange, want: news.ReportOther},
		"she leaves":                   {token: leave, kind: news.ReturnedLeave, want: news.ReportLeave},
		"an empty mail":                {token: leave, kind: news.ReturnedStrange, want: news.ReportLeave},
		"a machine at that address":    {token: leave, kind: news.ReturnedAutoReply, want: news.ReportOther},
		"a failure at that address":    {token: leave, kind: news.ReturnedFailed, want: news.ReportOther},
		"\"leave\" at the return path": {token: path, kind: news.ReturnedLeave, want: news.ReportOther},
		"a complaint":                  {token: path, kind: news.ReturnedComplaint, want: news.ReportComplaint},
		"a feedback loop's complaint":  {kind: news.ReturnedComplaint, in: []string{"b" + strings.Repeat("a", 47), leave}, want: news.ReportComplaint},
		"of a mail of others":          {kind: news.ReturnedComplaint, in: []string{others}},
		"a failure without an address": {kind: news.ReturnedFailed, in: []string{path}},
		"forged":                       {token: others, kind: news.ReturnedFailed},
	} {
		h.store.reports = map[string]news.MailReport{}
		d := news.ReturnedMail{Token: c.token, Kind: c.kind, ID: "x@mx.example", Status: "5.1.1", Reason: news.HardBounce, Tokens: c.in}
		for range 2 { // C23
			if err := h.TakeBack(t.Context(), d); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		r, ok := h.store.reports[someMailbox+" x@mx.example"]
		if r.Kind != c.want || ok != (c.want != "") || len(h.store.reports) > 1 {
			t.Errorf("%s: %v", name, h.store.reports)
		}
		if ok && (r.MailboxID != someMailbox || r.LocalDate != today || r.Reason != news.HardBounce) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	h.store.fail = errTest
	if err := h.TakeBack(t.Context(), news.ReturnedMail{Token: path, Kind: news.ReturnedFailed, ID: "y"}); !errors.Is(err, errTest) {
		t.Errorf("the store is away, and the mail would be acknowledged: %v", err)
	}
}

// TestReturnPath: a mail's envelope names its reader, signed; its header says where to
// leave by mail if that is read.
func TestReturnPath(t *testing.T) {
	for _, read := range []bool{false, true} {
		h := newHouse(t, simulate.MailOptions{}, func(c *Config) { c.BounceAddress, c.TakesBack = "back@news.example", read })
		h.store.put(story("a"))
		h.store.join(box(someMailbox))
		h.run(t)
		mail := h.server.Mails()[0]
		token, ours := email.TokenOf("back@news.example", mail.From)
		if kind, id, date, err := h.Links.VerifyMail(token); !ours || err != nil || kind != link.MailBounce || id != someMailbox || date != today {
			t.Errorf("from %s: %v", mail.From, err)
		}
		header, err := mail.Header()
		if err != nil {
			t.Fatal(err)
		}
		_, mailto, _ := strings.Cut(header.Get("List-Unsubscribe"), "<mailto:")
		address, _, _ := strings.Cut(mailto, "?")
		if token, _ := email.TokenOf("back@news.example", address); read != h.OurToken(token) || !read && address != "digest@news.example" {
			t.Errorf("read %t: leave by a mail to %s", read, address)
		}
	}
}
