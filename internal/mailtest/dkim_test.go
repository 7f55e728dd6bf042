package mailtest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"dateline/internal/email"
	"dateline/internal/mailtest"
)

func TestVerifyDKIM(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	record, err := email.DKIMRecord(key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	otherRecord, err := email.DKIMRecord(other)
	if err != nil {
		t.Fatal(err)
	}
	good, plain := composed(t, key), composed(t, nil)
	change := func(old, better string) []byte {
		changed := bytes.Replace(good, []byte(old), []byte(better), 1)
		if bytes.Equal(changed, good) {
			t.Fatalf("no %q in the mail", old)
		}
		return changed
	}
	sign := func(domain string, names string) []byte {
		var out bytes.Buffer
		if err := dkim.Sign(&out, bytes.NewReader(plain), &dkim.SignOptions{Domain: domain, Selector: "d2026", Signer: key, HeaderKeys: strings.Split(names, ":")}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	const all = "From:To:Subject:Date:Message-ID:List-Unsubscribe:List-Unsubscribe-Post"
	for name, c := range map[string]struct {
		raw    []byte
		record string
		says   string // "": nothing is wrong
	}{
		"ours":              {good, record, ""},
		"just enough":       {sign("news.example", all), record, ""},
		"none":              {plain, record, "0 signatures"},
		"two":               {append(bytes.Clone(good[:bytes.Index(good, []byte("\r\nAuto-Submitted"))+2]), good...), record, "2 signatures"},
		"another's key":     {good, otherRecord, "does not hold"},
		"no key":            {good, "v=DKIM1; p=", "does not hold"},
		"changed subject":   {change("Subject: Flood", "Subject: No flood"), record, "does not hold"},
		"changed way out":   {change("example/unsubscribe/0", "example/unsubscribe/1"), record, "does not hold"},
		"changed body":      {change("\r\n--dateline", "\r\nMore.\r\n--dateline"), record, "does not hold"},
		"another domain":    {sign("mail.example", all), record, "is not the From's"},
		"a domain above":    {sign("example", all), record, "is not the From's"},
		"way out uncovered": {sign("news.example", strings.Replace(all, "List-Unsubscribe:", "", 1)), record, "h= does not cover List-Unsubscribe"},
		"post uncovered":    {sign("news.example", strings.Replace(all, ":List-Unsubscribe-Post", "", 1)), record, "h= does not cover List-Unsubscribe-Post"},
		"subject uncovered": {sign("news.example", strings.Replace(all, "Subject:", "", 1)), record, "h= does not cover Subject"},
	} {
		err := mailtest.VerifyDKIM(c.raw, c.record)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
