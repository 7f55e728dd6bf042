package app

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/mail"
	"strings"
	"testing"

	"dateline/internal/email"
)

// dns is a name service. What is not in it is not found.
type dns struct {
	txt, host, addr map[string][]string
	mx              map[string][]string
}

func look(in map[string][]string, name string) ([]string, error) {
	if found, ok := in[name]; ok {
		return found, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (d dns) LookupHost(_ context.Context, name string) ([]string, error) { return look(d.host, name) }
func (d dns) LookupTXT(_ context.Context, name string) ([]string, error)  { return look(d.txt, name) }
func (d dns) LookupAddr(_ context.Context, addr string) ([]string, error) { return look(d.addr, addr) }

func (d dns) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	hosts, err := look(d.mx, name)
	var out []*net.MX
	for _, h := range hosts {
		out = append(out, &net.MX{Host: h, Pref: 10})
	}
	return out, err
}

// goodDNS is as mailbox providers want it.
func goodDNS(record string) dns {
	return dns{
		txt: map[string][]string{"news.example": {"unrelated", "v=spf1 a:mx.news.example -all"}, "_dmarc.news.example": {"v=DMARC1; p=reject; rua=mailto:d@news.example"},
			"d1._domainkey.news.example": {record}},
		host: map[string][]string{"mx.news.example": {"203.0.113.5", "2001:db8::5"}, "relay.news.example": {"10.0.0.5", "100.64.0.1"}},
		addr: map[string][]string{"203.0.113.5": {"mx.news.example."}, "2001:db8::5": {"other.news.example.", "mx.news.example."}},
		mx:   map[string][]string{"news.example": {"mx.news.example."}},
	}
}

// domainKey is a DKIM key as it is configured, and its record.
func domainKey(t *testing.T) (text, record string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if record, err = email.DKIMRecord(key); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), record
}

// TestDoctorOnMailNames: each fault of the records is found, graded, and said
// with what to publish.
func TestDoctorOnMailNames(t *testing.T) {
	ours, record := domainKey(t)
	_, other := domainKey(t)
	const dkimName, dmarcName = "d1._domainkey.news.example", "_dmarc.news.example"
	txt := func(name string, records ...string) func(*dns) { return func(d *dns) { d.txt[name] = records } }
	for what, c := range map[string]struct {
		host   string // of SMTP_URL
		back   string // DATELINE_BOUNCE_ADDRESS, if it is not the sender
		change func(*dns)
		bad    int
		says   []string // "grade what … words"
	}{
		"all well": {says: []string{"ok SPF", "ok DMARC", "ok DKIM", "ok MX", "ok PTR 203.0.113.5 is mx.news.example, and back", "ok PTR 2001:db8::5"}},

		"no SPF":           {change: txt("news.example"), bad: 1, says: []string{"MEND SPF", "note SPF the TXT record to publish at news.example: v=spf1 a:mx.news.example -all"}},
		"no answer":        {change: func(d *dns) { delete(d.txt, "news.example") }, bad: 1, says: []string{"MEND SPF no TXT record at news.example could be read", "v=spf1 a:mx"}},
		"SPF from inside":  {host: "relay.news.example", change: txt("news.example"), bad: 1, says: []string{"v=spf1 ip4:ADDRESS-THAT-SENDS -all"}},
		"SPF of 10":        {change: txt("news.example", "v=spf10 -all"), bad: 1, says: []string{"MEND SPF"}},
		"speaks of SPF":    {change: txt("news.example", "we use v=spf1 -all"), bad: 1, says: []string{"MEND SPF"}},
		"two SPF":          {change: txt("news.example", "v=spf1 mx -all", "V=SPF1 a -all"), bad: 1, says: []string{"MEND SPF news.example has 2 records"}},
		"SPF +all":         {change: txt("news.example", "v=spf1 a +all"), bad: 1, says: []string{"MEND SPF the record at news.example lets everybody"}},
		"SPF all":          {change: txt("news.example", "v=spf1 all"), bad: 1, says: []string{"lets everybody"}},
		"SPF ?all":         {change: txt("news.example", "v=spf1 a ?all"), says: []string{"note SPF the record at news.example does not end"}},
		"SPF without end":  {change: txt("news.example", "v=spf1"), says: []string{"note SPF the record at news.example does not end"}},
		"SPF ~all":         {change: txt("news.example", "v=spf1 a ~ALL"), says: []string{"ok SPF"}},
		"SPF of another":   {change: txt("news.example", "v=spf1 redirect=_spf.mail.example"), says: []string{"ok SPF"}},
		"no DMARC":         {change: txt(dmarcName), bad: 1, says: []string{"MEND DMARC", "note DMARC the TXT record to publish at _dmarc.news.example: v=DMARC1; p=none; rua=mailto:dmarc@news.example"}},
		"two DMARC":        {change: txt(dmarcName, "v=DMARC1; p=none", "v=DMARC1; p=reject"), bad: 1, says: []string{"MEND DMARC _dmarc.news.example has 2 records"}},
		"DMARC none":       {change: txt(dmarcName, "v=DMARC1; p=none; rua=mailto:a@b.example"), says: []string{"note DMARC _dmarc.news.example says p=none"}},
		"DMARC without p":  {change: txt(dmarcName, "v=DMARC1; rua=mailto:a@b.example"), bad: 1, says: []string{"MEND DMARC _dmarc.news.example has no policy"}},
		"DMARC misspelt":   {change: txt(dmarcName, "v=DMARC1; p=refuse; rua=mailto:a@b.example"), bad: 1, says: []string{"has no policy that receivers know"}},
		"DMARC and no rua": {change: txt(dmarcName, "v = DMARC1 ; p = Reject"), says: []string{"ok DMARC", "note DMARC _dmarc.news.example asks for no reports: add rua=mailto:dmarc@news.example"}},

		"another's key": {change: txt(dkimName, other), bad: 1, says: []string{"MEND DKIM the TXT record at d1._domainkey.news.example does not hold our key", "to publish at " + dkimName + ": " + record}},
		"our key, too":  {change: txt(dkimName, other, record), says: []string{"ok DKIM"}},
		"spaced":        {change: txt(dkimName, strings.Replace(record, "p=", " p = ", 1)), says: []string{"ok DKIM"}},
		"no key":        {change: func(d *dns) { delete(d.txt, dkimName) }, bad: 1, says: []string{"MEND DKIM no TXT record at " + dkimName, "to publish at " + dkimName + ": " + record}},
		"revoked":       {change: txt(dkimName, "v=DKIM1; p="), bad: 1, says: []string{"has an empty p=, a key that was revoked", "to publish at " + dkimName}},
		"on trial":      {change: txt(dkimName, record+"; t=s:y"), says: []string{"ok DKIM", "note DKIM d1._domainkey.news.example says t=y"}},

		"no MX, an address": {change: func(d *dns) { d.mx, d.host["news.example"] = nil, []string{"203.0.113.9"} }, says: []string{"ok MX"}},
		"no MX":             {change: func(d *dns) { d.mx = nil }, bad: 1, says: []string{"MEND MX news.example has neither an MX record nor an address", "publish MX 10"}},
		"MX to nowhere":     {change: func(d *dns) { d.mx["news.example"] = []string{"gone.example."} }, bad: 1, says: []string{"MEND MX gone.example, where mail for news.example goes, has no address"}},
		"takes no mail":     {change: func(d *dns) { d.mx["news.example"] = []string{"."} }, bad: 1, says: []string{"MEND MX the MX record of news.example says that it takes no mail"}},

		"no PTR":         {change: func(d *dns) { delete(d.addr, "203.0.113.5") }, bad: 1, says: []string{"MEND PTR 203.0.113.5 has no PTR record", "5.7.25", "ok PTR 2001:db8::5"}},
		"PTR to another": {change: func(d *dns) { d.addr["203.0.113.5"] = []string{"pool-5.isp.example."} }, bad: 1, says: []string{"MEND PTR 203.0.113.5 has the PTR pool-5.isp.example, which does not lead back"}},
		"PTR elsewhere": {change: func(d *dns) {
			d.host["other.news.example"], d.addr["203.0.113.5"] = []string{"203.0.113.6"}, []string{"other.news.example."}
		}, bad: 1, says: []string{"does not lead back"}},
		"a relay inside": {host: "relay.news.example", says: []string{"note PTR relay.news.example is inside"}},
		"on loopback":    {host: "127.0.0.1", says: []string{"note PTR 127.0.0.1 is inside"}},
		"by address":     {host: "203.0.113.5", says: []string{"ok PTR 203.0.113.5 is mx.news.example"}},

		"bounces elsewhere, all well": {back: "back@bounce.news.example", change: func(d *dns) {
			d.txt["bounce.news.example"], d.mx["bounce.news.example"] = []string{"v=spf1 a:mx.news.example -all"}, []string{"mx.news.example."}
		}, says: []string{"ok SPF bounce.news.example", "ok MX"}},
		"bounces to nowhere": {back: "back@bounce.news.example", bad: 2, says: []string{"MEND SPF", "MEND MX bounce.news.example has neither"}},
		"bounces to others": {back: "back@sender.example", change: func(d *dns) {
			d.txt["sender.example"], d.mx["sender.example"] = []string{"v=spf1 -all"}, []string{"mx.news.example."}
		}, says: []string{"note DMARC mail comes back to sender.example, which is not of news.example"}},
		"unknown server": {host: "nobody.example", bad: 1, says: []string{"MEND PTR the server of SMTP_URL, nobody.example, can't be looked up"}},
	} {
		d := goodDNS(record)
		if c.change != nil {
			c.change(&d)
		}
		if c.host == "" {
			c.host = "mx.news.example"
		}
		var out strings.Builder
		e := &examination{cfg: &Config{BounceAddress: cmp.Or(c.back, "digest@news.example"), DKIMKey: ours, DKIMSelector: "d1", MailFrom: &mail.Address{Address: "digest@news.example"}}, out: &out, resolver: d}
		e.mailNames(t.Context(), c.host)
		said := strings.Join(strings.Fields(out.String()), " ")
		for _, words := range c.says {
			if !strings.Contains(said, words) {
				t.Errorf("%s: no %q in\n%s", what, words, &out)
			}
		}
		if e.bad != c.bad {
			t.Errorf("%s: %d bad, want %d\n%s", what, e.bad, c.bad, &out)
		}
	}
}

// TestDoctorKnowsWhoseDMARCHolds: a part of a domain has the whole's, and its
// sp= where there is one.
func TestDoctorKnowsWhoseDMARCHolds(t *testing.T) {
	for what, c := range map[string]struct {
		txt  map[string][]string
		says string
	}{
		"its own":     {map[string][]string{"_dmarc.news.agency.example": {"v=DMARC1; p=reject"}, "_dmarc.agency.example": {"v=DMARC1; p=none"}}, "ok DMARC _dmarc.news.agency.example"},
		"the whole's": {map[string][]string{"_dmarc.agency.example": {"v=DMARC1; p=reject"}}, "ok DMARC _dmarc.agency.example"},
		"for parts":   {map[string][]string{"_dmarc.agency.example": {"v=DMARC1; p=reject; sp=none"}}, "note DMARC _dmarc.agency.example says p=none"},
		"none":        {nil, "MEND DMARC no TXT record at _dmarc.news.agency.example"},
	} {
		var out strings.Builder
		e := &examination{out: &out, resolver: dns{txt: c.txt}}
		e.dmarc(t.Context(), "news.agency.example")
		if said := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(said, c.says) {
			t.Errorf("%s: no %q in\n%s", what, c.says, &out)
		}
	}
}
