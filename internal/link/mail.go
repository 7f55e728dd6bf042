package link

import (
	"crypto/hmac"
	"encoding/base32"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// MailKind says what an address with a token is for. It is the first letter of
// the token, and under its MAC.
type MailKind string

// The kinds.
const (
	MailBounce      MailKind = "b" // the return path of one mail (VERP): what comes back names the reader
	MailUnsubscribe MailKind = "u" // the mailto of List-Unsubscribe: a mail to it is a wish to leave
)

// mailMACBytes is shorter than elsewhere: 80 bits. A local part has room for
// 64 characters (RFC 5321, 4.5.3.1.1), and such a token can only be tried out
// by offering it to our mail server: at a thousand tries a second a forged one
// takes some ten billion years. What it is good for is to stop one reader's
// mails, nothing that could be read.
const mailMACBytes = 10

// mailBody is the key id, the mailbox and the date.
const mailBody = 1 + 16 + 2

// mailToken is the length of every token: the letter, and 29 bytes at 5 bits a
// character. It leaves 15 characters to the left of the "+".
const mailToken = 1 + ((mailBody+mailMACBytes)*8+4)/5

// mailEncoding has one case only: there are servers that change the case of a
// local part, and the token is to survive them.
var mailEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// dateLayout is how the house writes local dates.
const dateLayout = "2006-01-02"

// Mail makes the token for the right of the "+" in an address: whose mail of
// which edition it is that comes back. It never expires (a server may hold a
// mail for five days, a reader an unsubscribe link for years) and has 48
// characters. A mailbox id that is no UUID, a date that is none (or not from
// 1970 to 2149) or an unknown kind gives "": write from the bare address then.
func (s *Signer) Mail(kind MailKind, mailboxID, localDate string) string {
	id, err := uuid.Parse(mailboxID)
	if err != nil || id.String() != mailboxID || kind != MailBounce && kind != MailUnsubscribe {
		return ""
	}
	date, err := time.Parse(dateLayout, localDate)
	days := date.Unix() / (24 * 60 * 60)
	if err != nil || date.Unix() < 0 || days > 1<<16-1 {
		return ""
	}
	body := append([]byte{s.keyID}, id[:]...)
	body = binary.BigEndian.AppendUint16(body, uint16(days))
	return string(kind) + mailEncoding.EncodeToString(append(body, s.mailMAC(string(kind), body)...))
}

// VerifyMail gives back what Mail was given, or ErrBad. The case of letters
// does not matter; but for that each token has one spelling. As with other
// tokens, the time does not tell what was wrong.
func (s *Signer) VerifyMail(token string) (kind MailKind, mailboxID, localDate string, err error) {
	letter, raw, formed := openMail(token)
	formed = formed && raw[0] == s.keyID && (letter == string(MailBounce) || letter == string(MailUnsubscribe))
	body, mac := raw[:mailBody], raw[mailBody:]
	if !hmac.Equal(mac, s.mailMAC(letter, body)) || !formed {
		return "", "", "", ErrBad
	}
	days := int64(binary.BigEndian.Uint16(body[17:]))
	date := time.Unix(days*24*60*60, 0).UTC().Format(dateLayout)
	return MailKind(letter), uuid.UUID(body[1:17]).String(), date, nil
}

// openMail takes a token apart. It always gives as many bytes as a token has.
func openMail(token string) (letter string, raw []byte, formed bool) {
	if len(token) != mailToken {
		return "", make([]byte, mailBody+mailMACBytes), false
	}
	folded := foldASCII(token)
	letter, text := folded[:1], folded[1:]
	raw, err := mailEncoding.DecodeString(text)
	if err != nil || len(raw) != mailBody+mailMACBytes {
		return letter, make([]byte, mailBody+mailMACBytes), false
	}
	// The decoder forgives line breaks and bits that are left over: of all
	// strings with these bytes only ours is the token.
	return letter, raw, mailEncoding.EncodeToString(raw) == text
}

// foldASCII is lower case for ASCII alone: strings.ToLower makes a k of the
// Kelvin sign too, which would be a second spelling.
func foldASCII(text string) string {
	out := []byte(text)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

// mailMAC has a purpose of its own ("mail" is none of the others').
func (s *Signer) mailMAC(letter string, body []byte) []byte {
	return sum(s.mac, "mail", letter, string(body))[:mailMACBytes]
}
