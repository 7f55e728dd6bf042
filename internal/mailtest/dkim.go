package mailtest

import (
	"bytes"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// VerifyDKIM checks that a mail bears one signature, of the domain of its From,
// that it holds against the TXT record given, and that it covers what RFC 8058,
// 4 and common sense want covered: an unsigned way out is one that anybody may
// have put there.
func VerifyDKIM(raw []byte, record string) error {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	h := readHeader(head)
	if n := h.count("DKIM-Signature"); n != 1 {
		return fmt.Errorf("%d signatures, not one", n)
	}
	asked := ""
	found, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		asked = name
		return []string{record}, nil
	}})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d signatures were verified, not one", len(found))
	}
	if err := found[0].Err; err != nil {
		return fmt.Errorf("the signature does not hold: %w", err)
	}
	from, err := mail.ParseAddress(h.get("From"))
	if err != nil {
		return fmt.Errorf("the From: %w", err)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	if !strings.EqualFold(found[0].Domain, domain) || !strings.HasSuffix(asked, "._domainkey."+found[0].Domain) {
		return fmt.Errorf("d=%s (key at %s) is not the From's %s", found[0].Domain, asked, domain)
	}
	return covered(h.get("DKIM-Signature"))
}

// covered reads the h= that the verifier used. (One with an l=, which leaves the
// end of the body to anybody, it refuses by itself.)
func covered(signature string) error {
	signed := ""
	for tag := range strings.SplitSeq(signature, ";") {
		if name, value, _ := strings.Cut(tag, "="); strings.TrimSpace(name) == "h" {
			signed = strings.ToLower(strings.Join(strings.Fields(value), ""))
		}
	}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"} {
		if !slices.Contains(strings.Split(signed, ":"), strings.ToLower(name)) {
			return fmt.Errorf("h= does not cover %s", name)
		}
	}
	return nil
}
