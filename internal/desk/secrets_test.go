package desk

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

// The test vectors of RFC 6238 appendix B, cut to six digits.
func TestCodesAreThoseOfTheRFC(t *testing.T) {
	secret, err := hex.DecodeString("3132333435363738393031323334353637383930")
	if err != nil {
		t.Fatal(err)
	}
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924",
		2000000000: "279037", 20000000000: "353130"} {
		if step, ok := usedStep(secret, code, 0, time.Unix(at, 0)); !ok || step != at/codeStep {
			t.Errorf("at %d the code %s is of step %d, %v", at, code, step, ok)
		}
	}
}

func TestWhichCodesAreTaken(t *testing.T) {
	secret, now := []byte("a secret of sixteen"), time.Unix(1_800_000_015, 0)
	current := now.Unix() / codeStep
	for _, c := range []struct {
		name  string
		step  int64
		used  int64
		takes bool
	}{
		{"the present one", current, 0, true},
		{"a phone that is slow", current - 1, 0, true},
		{"a phone that is fast", current + 1, 0, true},
		{"a minute old", current - 2, 0, false},
		{"of the future", current + 2, 0, false},
		{"used", current, current, false},
		{"older than the used one", current - 1, current, false},
		{"newer than the used one", current + 1, current, true},
	} {
		step, ok := usedStep(secret, codeAt(t, secret, c.step), c.used, now)
		if ok != c.takes || ok && step != c.step {
			t.Errorf("%s: step %d, %v; want %v", c.name, step, ok, c.takes)
		}
	}
	if _, ok := usedStep(secret, codeAt(t, secret, current)[:3]+" "+codeAt(t, secret, current)[3:], 0, now); !ok {
		t.Error("a code typed as the app shows it is refused")
	}
	rapid.Check(t, func(t *rapid.T) { // what strangers type neither fits nor panics
		if code := rapid.String().Draw(t, "code"); len(code) != 6 {
			if _, ok := usedStep(secret, code, 0, now); ok && len(strings.ReplaceAll(code, " ", "")) != 6 {
				t.Fatalf("%q fits", code)
			}
		}
	})
}

func TestPasswords(t *testing.T) {
	for name, password := range map[string]string{"short": "eleven char", "the name": "rika.tanaka-2026", "long": strings.Repeat("x", mostPassword+1)} {
		if _, err := hashPassword(password, "Rika"); !errors.Is(err, news.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	hash, err := hashPassword("五つの漢字と十二文字です", "Rika")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("hash %q, %v", hash, err)
	}
	if !isPassword("五つの漢字と十二文字です", hash) || isPassword("五つの漢字と十二文字だ", hash) || isPassword("", hash) || isPassword("x", "no hash") {
		t.Error("the comparison is wrong")
	}
	// A name that does not exist must take as long as one that does.
	params, _, _, err := argon2id.DecodeHash(nobodysPassword)
	if err != nil || *params != *passwordCost() {
		t.Errorf("nobody's password costs %+v, %v", params, err)
	}
}
