package link

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

// aMail draws what a mail token is made from.
func aMail(t *rapid.T) (kind MailKind, id, date string) {
	kind = rapid.SampledFrom([]MailKind{MailBounce, MailUnsubscribe}).Draw(t, "kind")
	id = uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")).String()
	day := rapid.IntRange(0, 1<<16-1).Draw(t, "day")
	return kind, id, time.Unix(0, 0).UTC().AddDate(0, 0, day).Format("2006-01-02")
}

func TestMailRoundTrip(t *testing.T) {
	s := New(testKey)
	rapid.Check(t, func(t *rapid.T) {
		kind, id, date := aMail(t)
		token := s.Mail(kind, id, date)
		if len(token) != 48 || token != s.Mail(kind, id, date) || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Fatalf("token %q", token)
		}
		onTheWay := []byte(token)
		for i, upper := range rapid.SliceOfN(rapid.Bool(), len(token), len(token)).Draw(t, "upper") {
			if upper {
				onTheWay[i] = strings.ToUpper(token[i : i+1])[0]
			}
		}
		gotKind, gotID, gotDate, err := s.VerifyMail(string(onTheWay))
		if err != nil || gotKind != kind || gotID != id || gotDate != date {
			t.Fatalf("VerifyMail(%s) = %q, %q, %q, %v; want %q, %q, %q", onTheWay, gotKind, gotID, gotDate, err, kind, id, date)
		}
	})
}

// One character changed, whichever: nothing but a change of case goes through.
func TestMailChanged(t *testing.T) {
	s := New(testKey)
	rapid.Check(t, func(t *rapid.T) {
		kind, id, date := aMail(t)
		token := s.Mail(kind, id, date)
		changed := []byte(token)
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		changed[at] = rapid.Byte().Draw(t, "to")
		if strings.EqualFold(string(changed), token) {
			t.Skip("the same in another case")
		}
		if _, gotID, _, err := s.VerifyMail(string(changed)); !errors.Is(err, ErrBad) {
			t.Fatalf("%q for %q: good for %s, %v", changed, token, gotID, err)
		}
	})
}

func TestT63_ForgedMailTokens(t *testing.T) {
	s := New(testKey)
	token := s.Mail(MailBounce, someID, "2026-11-24")
	foreign := s.Mail(MailBounce, strings.Replace(someID, "c001", "c002", 1), "2026-11-24")
	other := New([]byte("another key of thirty-two bytes."))
	withK := token
	for day := 1; !strings.Contains(withK, "k"); day++ {
		withK = s.Mail(MailBounce, someID, now.AddDate(0, 0, day).Format("2006-01-02"))
	}
	for name, bad := range map[string]string{
		"empty":                        "",
		"no body":                      "b",
		"truncated":                    token[:len(token)-1],
		"longer":                       token + "a",
		"padded":                       token + "=",
		"a break at the end":           token[:len(token)-1] + "\n",
		"a break within":               token[:20] + "\n" + token[20:],
		"another letter":               "u" + token[1:],
		"an unknown letter":            "x" + token[1:],
		"other key":                    other.Mail(MailBounce, someID, "2026-11-24"),
		"body of one, MAC of another":  token[:len(token)-16] + foreign[len(foreign)-16:],
		"a k that is a Kelvin sign":    strings.Replace(withK, "k", "\u212a", 1),
		"a token of another purpose":   s.Sign(Unsubscribe, someID, time.Time{}),
		"huge":                         strings.Repeat("b", 1<<20),
		"bits left over at the end":    token[:len(token)-1] + next(token[len(token)-1]),
		"the address and not its part": "digest+" + token,
	} {
		if kind, id, _, err := s.VerifyMail(bad); !errors.Is(err, ErrBad) || !errors.Is(err, news.ErrNotFound) {
			t.Errorf("%s: VerifyMail = %q, %q, %v; want ErrBad", name, kind, id, err)
		}
	}
	if _, err := s.Verify(Unsubscribe, s.Mail(MailUnsubscribe, someID, "2026-11-24"), now); !errors.Is(err, ErrBad) {
		t.Errorf("a mail token opens a page: %v", err)
	}
}

// next is the character after this one in the alphabet: the same bytes, if only
// bits that no byte needs differ.
func next(c byte) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

func TestMailOfWhatHasNoToken(t *testing.T) {
	s := New(testKey)
	for _, test := range []struct {
		name     string
		kind     MailKind
		id, date string
	}{
		{"no id", MailBounce, "", "2026-11-24"},
		{"no UUID", MailBounce, "mailbox-1", "2026-11-24"},
		{"another spelling", MailBounce, strings.ToUpper(someID), "2026-11-24"},
		{"in braces", MailBounce, "{" + someID + "}", "2026-11-24"},
		{"no date", MailBounce, someID, ""},
		{"no such day", MailBounce, someID, "2026-02-30"},
		{"before 1970", MailBounce, someID, "1969-12-31"},
		{"after 2149", MailBounce, someID, "2149-06-07"},
		{"an instant", MailBounce, someID, "2026-11-24T00:00:00Z"},
		{"no kind", "", someID, "2026-11-24"},
		{"unknown kind", "c", someID, "2026-11-24"},
	} {
		if got := s.Mail(test.kind, test.id, test.date); got != "" {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	if s.Mail(MailBounce, someID, "2149-06-06") == "" || s.Mail(MailBounce, someID, "1970-01-01") == "" {
		t.Error("the first or the last day has no token")
	}
}

func FuzzVerifyMail(f *testing.F) {
	s := New(testKey)
	f.Add(s.Mail(MailBounce, someID, "2026-11-24"))
	f.Add(strings.ToUpper(s.Mail(MailUnsubscribe, someID, "2026-11-24")))
	f.Add("b")
	f.Fuzz(func(t *testing.T, token string) {
		kind, id, date, err := s.VerifyMail(token)
		if err != nil {
			if !errors.Is(err, ErrBad) || kind != "" || id != "" || date != "" {
				t.Fatalf("%q: %q, %q, %q, %v", token, kind, id, date, err)
			}
			return
		}
		// Whatever verifies is what Mail makes of it, but for its case.
		if again := s.Mail(kind, id, date); !strings.EqualFold(again, token) || len(again) != len(token) {
			t.Fatalf("%q verified, and is %q", token, again)
		}
	})
}
