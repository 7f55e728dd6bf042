package desk

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"
)

// key is an authenticator with one credential for a desk.
type key struct {
	o    *office
	rp   virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
	cred virtualwebauthn.Credential
}

func (o *office) newKey() *key {
	return &key{o: o, rp: virtualwebauthn.RelyingParty{Name: "Dateline desk", ID: "desk.example", Origin: officeOrigin},
		auth: virtualwebauthn.NewAuthenticator(), cred: o.newCredential()}
}

// newCredential has a key whose coordinates fill their 32 bytes. virtualwebauthn
// drops the zeros that one of 128 keys begins a coordinate with; authenticators
// must not (RFC 9053 section 7.1.1), and the desk rightly takes no such key.
func (o *office) newCredential() virtualwebauthn.Credential {
	o.t.Helper()
	for {
		c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		parsed, err := x509.ParsePKCS8PrivateKey(c.Key.Data)
		o.must(err)
		raw, err := parsed.(*ecdsa.PrivateKey).PublicKey.Bytes() // 4, x, y
		o.must(err)
		if raw[1] != 0 && raw[33] != 0 {
			return c
		}
	}
}

// makes answers what the account page asks, as a browser would.
func (k *key) makes(cookie string) (begun answer, credential string) {
	k.o.t.Helper()
	begun = k.o.ask("POST", "/desk/account/passkeys/begin", cookie, url.Values{"name": {"my phone"}, "code": {k.o.code()}})
	if begun.status != http.StatusOK {
		return begun, ""
	}
	options, err := virtualwebauthn.ParseAttestationOptions(`{"publicKey":` + begun.text + `}`)
	k.o.must(err)
	k.auth.Options.UserHandle = []byte(options.UserID)
	return begun, virtualwebauthn.CreateAttestationResponse(k.rp, k.auth, k.cred, *options)
}

// added is a key that an editor has added.
func (o *office) added(cookie string) *key {
	o.t.Helper()
	k := o.newKey()
	_, credential := k.makes(cookie)
	if got := o.ask("POST", "/desk/account/passkeys", cookie, url.Values{"name": {"my phone"}, "credential": {credential}}); got.status != http.StatusSeeOther {
		o.t.Fatalf("add a passkey: %d %s", got.status, problemOn(got.text))
	}
	k.auth.AddCredential(k.cred)
	return k
}

// asked is what the sign-in page asks, and answers what the key says.
func (k *key) asked() *virtualwebauthn.AssertionOptions {
	k.o.t.Helper()
	begun := k.o.ask("POST", "/desk/signin/passkey/begin", "", nil)
	if begun.status != http.StatusOK || !strings.Contains(begun.text, `"userVerification":"required"`) {
		k.o.t.Fatalf("begin: %d %s", begun.status, begun.text)
	}
	options, err := virtualwebauthn.ParseAssertionOptions(`{"publicKey":` + begun.text + `}`)
	k.o.must(err)
	return options
}

func (k *key) says(options *virtualwebauthn.AssertionOptions) string {
	return virtualwebauthn.CreateAssertionResponse(k.rp, k.auth, k.cred, *options)
}

func (k *key) enters(credential string) answer {
	return k.o.ask("POST", "/desk/signin/passkey", "", url.Values{"credential": {credential}, "next": {"/desk/alerts"}})
}

func TestAPasskeyIsAddedUsedAndRemoved(t *testing.T) {
	o := newOffice(t, nil)
	cookie := o.as("Ann")
	k := o.added(cookie)
	if got := o.trail(1); got != "Ann: passkey add editor/Ann my phone" {
		t.Error(got)
	}
	page := o.ask("GET", "/desk/account", cookie, nil)
	if page.status != 200 || !strings.Contains(page.text, "my phone") || !strings.Contains(page.text, "never used") {
		t.Errorf("the account page: %d", page.status)
	}
	k.cred.Counter = 1
	in := k.enters(k.says(k.asked()))
	if in.status != http.StatusSeeOther || in.where != "/desk/alerts" || o.isIn(in.cookie) != "Ann" {
		t.Fatalf("sign in: %d to %q as %q; %s", in.status, in.where, o.isIn(in.cookie), problemOn(in.text))
	}
	if got := o.trail(1); got != "Ann: sign in editor/Ann passkey my phone" {
		t.Error(got)
	}
	kept, err := o.Passkeys(context.Background(), "Ann")
	if o.must(err); len(kept) != 1 || kept[0].Counter != 1 || kept[0].UsedAt.IsZero() {
		t.Errorf("kept %+v", kept)
	}
	if got := o.ask("POST", "/desk/account/passkeys/remove", o.as("Rika"), url.Values{"id": {kept[0].ID}}); got.status != http.StatusSeeOther {
		t.Errorf("another removes it: %d", got.status)
	}
	k.cred.Counter = 2
	if got := k.enters(k.says(k.asked())); got.status != http.StatusSeeOther {
		t.Errorf("after another removed it: %d", got.status)
	}
	o.ask("POST", "/desk/account/passkeys/remove", cookie, url.Values{"id": {kept[0].ID}})
	if got := o.trail(1); got != "Ann: passkey remove editor/Ann my phone" {
		t.Error(got)
	}
	k.cred.Counter = 3
	if got := k.enters(k.says(k.asked())); got.status != http.StatusForbidden || got.cookie != "" {
		t.Errorf("a removed passkey: %d", got.status)
	}
}

// Whatever does not hold signs nobody in.
func TestPasskeysThatAreRefused(t *testing.T) {
	o := newOffice(t, nil)
	ann, rika := o.added(o.as("Ann")), o.added(o.as("Rika"))
	n := uint32(0)
	for name, spoil := range map[string]func(k *key) string{
		"wrong origin":         func(k *key) string { k.rp.Origin = "https://desk.example.evil"; return k.says(k.asked()) },
		"wrong relying party":  func(k *key) string { k.rp.ID = "evil.example"; return k.says(k.asked()) },
		"no user verification": func(k *key) string { k.auth.Options.UserNotVerified = true; return k.says(k.asked()) },
		"nobody present":       func(k *key) string { k.auth.Options.UserNotPresent = true; return k.says(k.asked()) },
		"no user handle":       func(k *key) string { k.auth.Options.UserHandle = nil; return k.says(k.asked()) },
		"another's handle": func(k *key) string {
			k.auth.Options.UserHandle = rika.auth.Options.UserHandle
			return k.says(k.asked())
		},
		"another's credential":  func(k *key) string { k.cred.ID = rika.cred.ID; return k.says(k.asked()) },
		"an unknown credential": func(k *key) string { k.cred.ID = []byte("nobody's"); return k.says(k.asked()) },
		"another key": func(k *key) string {
			id := k.cred.ID
			k.cred = k.o.newCredential()
			k.cred.ID = id
			return k.says(k.asked())
		},
		"a challenge of nobody": func(k *key) string {
			options := k.asked()
			options.Challenge = []byte("a challenge that the desk never made")
			return k.says(options)
		},
		"a replayed answer": func(k *key) string {
			credential := k.says(k.asked())
			if got := k.enters(credential); got.status != http.StatusSeeOther {
				t.Fatalf("the answer at first: %d", got.status)
			}
			return credential
		},
		"an answer that came late": func(k *key) string {
			options := k.asked()
			o.pass(ceremonyFor)
			return k.says(options)
		},
		"no JSON": func(*key) string { return "{" },
		"nothing": func(*key) string { return "" },
	} {
		n += 10
		o.pass(codeStep * 2e9)
		k := *ann
		k.cred.Counter = n
		if got := k.enters(spoil(&k)); got.status != http.StatusForbidden || got.cookie != "" || problemOn(got.text) == "" {
			t.Errorf("%s: %d, cookie %q, %q", name, got.status, got.cookie, problemOn(got.text))
		}
	}
	o.pass(codeStep * 2e9)
	k := *ann
	k.cred.Counter = 1000
	if got := k.enters(k.says(k.asked())); got.status != http.StatusSeeOther {
		t.Fatalf("the key as it was: %d %s", got.status, problemOn(got.text))
	}
	for _, counter := range []uint32{1000, 999, 0} {
		k.cred.Counter = counter
		if got := k.enters(k.says(k.asked())); got.status != http.StatusForbidden {
			t.Errorf("the counter went to %d: %d", counter, got.status)
		}
	}
	o.must(o.RemoveEditor(context.Background(), "Ann", "Cleo"))
	k.cred.Counter = 2000
	if got := k.enters(k.says(k.asked())); got.status != http.StatusForbidden {
		t.Errorf("an editor who was removed: %d", got.status)
	}
}

// A way in that stays is added by nobody but its editor, there and then.
func TestPasskeysThatAreNotAdded(t *testing.T) {
	o := newOffice(t, nil)
	cookie := o.as("Ann")
	begin := func(cookie string, form url.Values) int {
		return o.ask("POST", "/desk/account/passkeys/begin", cookie, form).status
	}
	if got := begin("", url.Values{"name": {"x"}, "code": {o.code()}}); got != http.StatusSeeOther {
		t.Errorf("nobody: %d", got)
	}
	if got := begin(cookie, url.Values{"name": {"x"}, "code": {"000000"}}); got != http.StatusBadRequest {
		t.Errorf("a wrong code: %d", got)
	}
	code := o.code()
	if got := begin(cookie, url.Values{"name": {""}, "code": {code}}); got != http.StatusBadRequest {
		t.Errorf("no name: %d", got)
	}
	if got := begin(cookie, url.Values{"name": {"x"}, "code": {code}}); got != http.StatusOK {
		t.Errorf("the code after no name: %d", got)
	}
	if got := begin(cookie, url.Values{"name": {"x"}, "code": {code}}); got != http.StatusBadRequest {
		t.Errorf("the code again: %d", got)
	}
	o.pass(codeStep * 2e9)
	rika := o.as("Rika")
	for name, spoil := range map[string]func(k *key) (string, string){
		"without verification": func(k *key) (string, string) {
			k.auth.Options.UserNotVerified = true
			_, c := k.makes(cookie)
			return cookie, c
		},
		"for another origin": func(k *key) (string, string) {
			k.rp.Origin = "https://evil.example"
			_, c := k.makes(cookie)
			return cookie, c
		},
		"for another desk":     func(k *key) (string, string) { k.rp.ID = "evil.example"; _, c := k.makes(cookie); return cookie, c },
		"begun by another":     func(k *key) (string, string) { _, c := k.makes(cookie); return rika, c },
		"signed out meanwhile": func(k *key) (string, string) { _, c := k.makes(cookie); return "", c },
		"a sign-in's challenge": func(k *key) (string, string) {
			challenge := k.asked().Challenge
			return cookie, virtualwebauthn.CreateAttestationResponse(k.rp, k.auth, k.cred, virtualwebauthn.AttestationOptions{Challenge: challenge})
		},
	} {
		o.pass(codeStep * 2e9)
		by, credential := spoil(o.newKey())
		got := o.ask("POST", "/desk/account/passkeys", by, url.Values{"name": {"x"}, "credential": {credential}})
		if by == "" && got.status != http.StatusSeeOther || by != "" && got.status != http.StatusConflict {
			t.Errorf("%s: %d %s", name, got.status, problemOn(got.text))
		}
	}
	for _, who := range []string{"Ann", "Rika"} {
		if kept, err := o.Passkeys(context.Background(), who); err != nil || len(kept) != 0 {
			t.Errorf("%s has %d passkeys, %v", who, len(kept), err)
		}
	}
}

// Guesses by passkey are limited as those of passwords are.
func TestPasskeysAreLimited(t *testing.T) {
	o := newOffice(t, nil)
	last := 0
	for range triesOfAllAtOnce + 1 {
		last = o.ask("POST", "/desk/signin/passkey", "", url.Values{"credential": {"{}"}}).status
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("guess %d: %d", triesOfAllAtOnce+1, last)
	}
}

// Whoever has a session and not the phone guesses no faster from many networks.
func TestCodesAreGuessedSlowly(t *testing.T) {
	o := newOffice(t, nil)
	cookie := o.as("Ann")
	for i := range triesPerMinute + 1 {
		o.from = fmt.Sprint("192.0.2.", i+1)
		got := o.ask("POST", "/desk/account/passkeys/begin", cookie, url.Values{"name": {"mine"}, "code": {"000000"}})
		if limited := got.status == http.StatusTooManyRequests; limited != (i == triesPerMinute) {
			t.Errorf("try %d: %d", i, got.status)
		}
	}
}

func TestWherePasskeysAreOffered(t *testing.T) {
	for origin, offered := range map[string]bool{"https://desk.example": true, "https://desk.example:8443": true, "http://localhost:8080": true,
		"http://desk.localhost": true, "http://desk.example": false, "https://192.0.2.1": false, "http://127.0.0.1:8080": false, "http://[::1]:1": false, "": false} {
		p := newPasskeys(origin)
		if (p.web != nil) != offered || offered == (p.why != "") {
			t.Errorf("%q: offered %v, %q", origin, p.web != nil, p.why)
		}
	}
	if p := newPasskeys("https://Desk.Example:8443"); p.web.Config.RPID != "desk.example" {
		t.Errorf("bound to %q", p.web.Config.RPID)
	}
}

// A page of a desk that can't have passkeys says why, and offers none.
func TestThePageSaysWhyThereAreNoPasskeys(t *testing.T) {
	o := newOffice(t, nil)
	o.pages.passkeys = newPasskeys("http://desk.example")
	for path, cookie := range map[string]string{"/desk/signin": "", "/desk/account": o.as("Ann")} {
		got := o.ask("GET", path, cookie, nil)
		if !strings.Contains(got.text, "need the desk at an https address") || strings.Contains(got.text, "data-passkey") {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := o.ask("POST", "/desk/signin/passkey/begin", "", nil); got.status != http.StatusForbidden {
		t.Errorf("begin: %d", got.status)
	}
}
