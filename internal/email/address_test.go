package email

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dateline/internal/news"
)

func TestCheckAddressTakes(t *testing.T) {
	for typed, want := range map[string]string{
		"reader@mail.example":        "reader@mail.example",
		"First.Last+news@Mail.Co.JP": "first.last+news@mail.co.jp",
		"o'neil@mail.example":        "o'neil@mail.example",
		"reader@例え.jp":               "reader@xn--r8jz45g.jp",
	} {
		got, err := CheckAddress(typed)
		if err != nil || got != want {
			t.Errorf("CheckAddress(%q) = %q, %v; want %q", typed, got, err, want)
		}
	}
}

// T60: what go-mail's own check lets through must not reach the wire.
func TestT60HostileAddresses(t *testing.T) {
	for _, typed := range []string{
		"", "@", "a", "a@", "@b.example", "a@b", "a@localhost", "a@127.0.0.1", "a@[127.0.0.1]", "a@1.2",
		"a@b\r\nRCPT TO:<c@d.example>", "a\r\nRCPT TO:<x@y.example>@b.example", `"a> ORCPT=x"@b.c`, `"a"@b.example`,
		"<a@b.example>", "a@b.example>", "a b@c.example", "a@b.example ", "a@b .example", "a@b@c.example\x00",
		".a@b.example", "a.@b.example", "a..b@c.example", "a@-b.example", "a@b-.example", "a@b..example", "a@b.example.",
		"名@b.example", "a(c)@b.example", strings.Repeat("a", 65) + "@b.example", "a@" + strings.Repeat("b.", 130) + "example",
		"a@" + strings.Repeat("b", 64) + ".example", "a,b@c.example", "a;b@c.example", "a@b,c.example",
	} {
		got, err := CheckAddress(typed)
		if err == nil {
			t.Errorf("CheckAddress(%q) = %q, want an error", typed, got)
			continue
		}
		if !errors.Is(err, news.ErrInvalid) {
			t.Errorf("CheckAddress(%q): %v is not invalid input", typed, err)
		}
		if len(typed) > 3 && strings.Contains(err.Error(), typed) {
			t.Errorf("CheckAddress(%q): the error quotes the address: %v", typed, err)
		}
	}
}

func TestCheckAddressIsStableAndSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9._<>" \r\n@-]{1,20}@[a-z.]{1,12}`)).Draw(t, "typed")
		got, err := CheckAddress(typed)
		if err != nil {
			return
		}
		if strings.ContainsAny(got, " \r\n\t<>\",;:()[]\\\x00") || strings.Count(got, "@") != 1 {
			t.Fatalf("CheckAddress(%q) = %q is not safe on the wire", typed, got)
		}
		if again, err := CheckAddress(got); err != nil || again != got {
			t.Fatalf("CheckAddress(%q) = %q, but again %q, %v", typed, got, again, err)
		}
	})
}

func FuzzCheckAddress(f *testing.F) {
	f.Add("reader@mail.example")
	f.Add(`"a> ORCPT=x"@b.c`)
	f.Fuzz(func(t *testing.T, typed string) {
		if got, err := CheckAddress(typed); err == nil && strings.ContainsAny(got, "\r\n <>\"") {
			t.Errorf("CheckAddress(%q) = %q", typed, got)
		}
	})
}
