package email

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	aBase  = "digest@news.example"
	aToken = "baebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi"
)

func TestWithToken(t *testing.T) {
	for _, test := range []struct {
		base, token, want string
		ok                bool
	}{
		{aBase, aToken, "digest+" + aToken + "@news.example", true},
		{aBase, "", aBase, false},
		{"no address", aToken, "no address", false},
		{strings.Repeat("d", 15) + "@news.example", aToken, strings.Repeat("d", 15) + "+" + aToken + "@news.example", true},
		{strings.Repeat("d", 16) + "@news.example", aToken, strings.Repeat("d", 16) + "@news.example", false},
	} {
		if got, ok := WithToken(test.base, test.token); got != test.want || ok != test.ok {
			t.Errorf("WithToken(%q, %q) = %q, %v", test.base, test.token, got, ok)
		}
	}
}

func TestTokenOf(t *testing.T) {
	for _, test := range []struct {
		address, token string
		ours           bool
	}{
		{aBase, "", true},
		{"Digest@NEWS.Example", "", true},
		{"DIGEST+" + strings.ToUpper(aToken) + "@news.EXAMPLE", aToken, true},
		{"digest+abc@news.example", "abc", true},
		{"digest+@news.example", "", false},
		{"digest++@news.example", "", false},
		{"digest+a.b@news.example", "", false},
		{"digest+a+b@news.example", "", false},
		{"digest+a%40b@news.example", "", false},
		{"digest+" + strings.Repeat("a", 58) + "@news.example", "", false},
		{"digest+abc@mail.example", "", false},
		{"digest+abc@news.example.evil.example", "", false},
		{"digest+abc@evil.example@news.example", "", false},
		{"digest%evil.example@news.example", "", false},
		{"digest@news.example@evil.example", "", false},
		{"xdigest@news.example", "", false},
		{"digest", "", false},
		{"", "", false},
		{"digest+\u212a@news.example", "", false}, // a Kelvin sign
		{"digest+abc\r\nRCPT TO:<x@y>@news.example", "", false},
	} {
		if token, ours := TokenOf(aBase, test.address); token != test.token || ours != test.ours {
			t.Errorf("TokenOf(%q) = %q, %v", test.address, token, ours)
		}
	}
}

func TestTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.StringMatching(`[a-z]([a-z0-9.+-]{0,20}[a-z0-9])?`).Draw(t, "local") + "@" + rapid.StringMatching(`[a-z]{1,10}\.example`).Draw(t, "domain")
		token := rapid.StringMatching(`[a-z0-9]{1,60}`).Draw(t, "token")
		address, ok := WithToken(base, token)
		if local := strings.Index(address, "@"); local > 64 || ok != (strings.Index(base, "@")+1+len(token) <= 64) {
			t.Fatalf("WithToken(%q, %q) = %q, %v", base, token, address, ok)
		}
		if !ok {
			token = ""
		}
		for _, spelled := range []string{address, strings.ToUpper(address)} {
			if got, ours := TokenOf(base, spelled); got != token || !ours {
				t.Fatalf("TokenOf(%q, %q) = %q, %v", base, spelled, got, ours)
			}
		}
	})
}
