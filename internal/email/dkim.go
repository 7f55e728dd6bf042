package email

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// ParseDKIMKey reads a private key: PKCS 8 in PEM, RSA (2048 bits or more) or
// Ed25519. Many receivers still check RSA only.
func ParseDKIMKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the DKIM key is not PEM text (-----BEGIN PRIVATE KEY-----)")
	}
	if block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("the DKIM key is a %q, not a PKCS 8 PRIVATE KEY (openssl pkcs8 -topk8 -nocrypt changes it)", block.Type)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the DKIM key can't be read: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the DKIM key is a %T, not RSA or Ed25519", key)
	}
	return signer, checkKey(signer)
}

func checkKey(key crypto.Signer) error {
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Errorf("the DKIM key has %d bits; big receivers want 2048", k.N.BitLen())
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("the DKIM key is a %T, not RSA or Ed25519", key)
}

func checkDKIM(key crypto.Signer, selector string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return CheckSelector(selector)
}

// CheckSelector says what is wrong with a DKIM selector, nil if nothing.
func CheckSelector(selector string) error {
	for label := range strings.SplitSeq(selector, ".") {
		if !isLabel(strings.ToLower(label)) {
			return fmt.Errorf("the DKIM selector %q is not the name of a DNS record, such as \"dateline\" or \"news.2026\"", selector)
		}
	}
	return nil
}

// FitsDKIMRecord reports whether a TXT record publishes the key: in p=, as RFC
// 6376, 3.6.1 and RFC 8463, 4 have it (RSA keys also come bare, in PKCS 1).
func FitsDKIMRecord(key crypto.Signer, text string) bool {
	for tag := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) != "p" {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
		if err != nil {
			return false
		}
		switch public := key.Public().(type) {
		case ed25519.PublicKey:
			return public.Equal(ed25519.PublicKey(der))
		case *rsa.PublicKey:
			if published, err := x509.ParsePKIXPublicKey(der); err == nil {
				return public.Equal(published)
			}
			published, err := x509.ParsePKCS1PublicKey(der)
			return err == nil && public.Equal(published)
		}
	}
	return false
}

// DKIMRecord is the TXT record that belongs to a key.
func DKIMRecord(key crypto.Signer) (string, error) {
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			return "", fmt.Errorf("DKIM record: %w", err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k), nil
	}
	return "", fmt.Errorf("DKIM record: %T is neither RSA nor Ed25519", key)
}

// signedHeaders is what the signature covers. RFC 8058 wants both List-
// Unsubscribe headers in it; those that steer a reader or say how the body is
// read stand once more than the mail has them, so that one added on the way
// breaks it (RFC 6376, 8.15): a mail of ours that is sent on to others can't
// get a Reply-To, a Cc or another way to leave.
func signedHeaders() []string {
	return []string{"From", "From", "To", "To", "Subject", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Type",
		"Reply-To", "Cc", "List-Id", "List-Unsubscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Unsubscribe-Post",
		"List-Help", "List-Help", "Auto-Submitted", "Feedback-ID"}
}

// sign puts a DKIM signature before the finished bytes. go-mail's own signing
// is not used: it folds a long h= after signing, in the middle of a name, and
// no verifier accepts that (libraries.md, finding 1).
func (m *Mailer) sign(raw []byte) ([]byte, error) {
	if m.config.DKIMKey == nil {
		return raw, nil
	}
	var out bytes.Buffer
	err := dkim.Sign(&out, bytes.NewReader(raw), &dkim.SignOptions{
		Domain: m.domain, Selector: m.config.DKIMSelector, Signer: m.config.DKIMKey,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: signedHeaders(),
	})
	if err != nil {
		return nil, fmt.Errorf("sign with DKIM for %s: %w", m.domain, err)
	}
	return out.Bytes(), nil
}
