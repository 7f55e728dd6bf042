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

var (
	testKey = []byte("0123456789abcdef0123456789abcdef")
	now     = time.Date(2026, 11, 24, 7, 0, 0, 0, time.UTC)
)

const someID = "0192f0c1-7f3a-7b11-8f10-3a5de5a0c001"

func TestRoundTrip(t *testing.T) {
	s := New(testKey)
	rapid.Check(t, func(t *rapid.T) {
		purpose := rapid.SampledFrom([]Purpose{Confirm, ManageDevice, ManageMailbox, Unsubscribe, API, Why}).Draw(t, "purpose")
		id := rapid.OneOf(rapid.Just(someID), rapid.StringN(0, 40, 80)).Draw(t, "id")
		var expires time.Time
		if rapid.Bool().Draw(t, "ends") {
			expires = now.Add(time.Duration(rapid.IntRange(1, 1e6).Draw(t, "seconds")) * time.Second)
		}
		token := s.Sign(purpose, id, expires)
		if token != s.Sign(purpose, id, expires) {
			t.Fatal("the same token twice differs")
		}
		got, err := s.Verify(purpose, token, now)
		if err != nil || got != id {
			t.Fatalf("Verify(%q) = %q, %v; want %q", token, got, err, id)
		}
	})
}

func TestT71_TokenOfAnotherPurposeReaderKeyOrShape(t *testing.T) {
	s := New(testKey)
	token := s.Sign(Unsubscribe, someID, time.Time{})
	other := New([]byte("another key of thirty-two bytes."))
	foreign := s.Sign(Unsubscribe, strings.Replace(someID, "c001", "c002", 1), time.Time{})
	for name, bad := range map[string]string{
		"empty":                       "",
		"truncated":                   token[:len(token)-1],
		"longer":                      token + "A",
		"half":                        token[:len(token)/2],
		"padded":                      token + "==",
		"other alphabet":              "+" + token[1:],
		"other key":                   other.Sign(Unsubscribe, someID, time.Time{}),
		"other purpose":               s.Sign(Confirm, someID, time.Time{}),
		"body of one, MAC of another": token[:len(token)-22] + foreign[len(foreign)-22:],
		"huge":                        strings.Repeat("A", 1<<20),
	} {
		if id, err := s.Verify(Unsubscribe, bad, now); !errors.Is(err, ErrBad) || !errors.Is(err, news.ErrNotFound) {
			t.Errorf("%s: Verify = %q, %v; want ErrBad", name, id, err)
		}
	}
	for i := range token {
		changed := []byte(token)
		changed[i] ^= 1
		if id, err := s.Verify(Unsubscribe, string(changed), now); err == nil {
			t.Errorf("character %d changed: still good for %q", i, id)
		}
	}
}

func TestT71_Expired(t *testing.T) {
	s := New(testKey)
	token := s.Sign(Confirm, someID, now.Add(ConfirmFor))
	if _, err := s.Verify(Confirm, token, now.Add(ConfirmFor-time.Second)); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	_, err := s.Verify(Confirm, token, now.Add(ConfirmFor))
	if !errors.Is(err, ErrExpired) || !errors.Is(err, news.ErrGone) {
		t.Errorf("at its end: %v, want ErrExpired", err)
	}
	if _, err := s.Verify(Unsubscribe, s.Sign(Unsubscribe, someID, time.Time{}), now.AddDate(50, 0, 0)); err != nil {
		t.Errorf("an unsubscribe link after 50 years: %v", err)
	}
}

func TestTokensAreShort(t *testing.T) {
	s := New(testKey)
	if n := len(s.Sign(Unsubscribe, someID, time.Time{})); n != 46 {
		t.Errorf("unsubscribe token has %d characters, want 46", n)
	}
	if n := len(s.Sign(Confirm, someID, now)); n != 51 {
		t.Errorf("confirm token has %d characters, want 51", n)
	}
}

func TestReceipt(t *testing.T) {
	s := New(testKey)
	rapid.Check(t, func(t *rapid.T) {
		want := Receipt{
			AlertID:  uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "alert")).String(),
			Revision: rapid.IntRange(1, 1000).Draw(t, "revision"),
			Cell:     rapid.IntRange(0, news.Cells-1).Draw(t, "cell"),
			Number:   rapid.Uint32().Draw(t, "number"),
		}
		token := s.Receipt(want, now.Add(ReceiptFor))
		got, err := s.VerifyReceipt(token, now)
		if err != nil || got != want {
			t.Fatalf("VerifyReceipt = %+v, %v; want %+v", got, err, want)
		}
		if _, err := s.VerifyReceipt(token, now.Add(ReceiptFor)); !errors.Is(err, ErrExpired) {
			t.Fatalf("after 7 days: %v", err)
		}
		if _, err := s.Verify(API, token, now); !errors.Is(err, ErrBad) {
			t.Fatalf("a receipt is good as a bearer token: %v", err)
		}
	})
	if s.Receipt(Receipt{AlertID: "x"}, now) != "" {
		t.Error("a receipt for no alert")
	}
}

func TestTag(t *testing.T) {
	s := New(testKey)
	a, b := s.Tag("https://news.example/a"), s.Tag("https://news.example/b")
	if len(a) != 32 || a == b || a != New(testKey).Tag("https://news.example/a") {
		t.Errorf("tags %q and %q", a, b)
	}
	if New([]byte("another key of thirty-two bytes.")).Tag("https://news.example/a") == a {
		t.Error("the tag does not depend on the key")
	}
}

func FuzzVerify(f *testing.F) {
	s := New(testKey)
	f.Add(s.Sign(Confirm, someID, now))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		// now.Add keeps the seed token expired: nothing may verify.
		if id, err := s.Verify(Confirm, token, now.Add(time.Hour)); err == nil {
			t.Fatalf("%q verified for %q", token, id)
		}
		if r, err := s.VerifyReceipt(token, now); err == nil {
			t.Fatalf("%q is a receipt for %+v", token, r)
		}
	})
}
