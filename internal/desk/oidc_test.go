package desk

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// idp is an OpenID provider with one person, who always says yes.
type idp struct {
	*httptest.Server
	key    *rsa.PrivateKey
	now    func() time.Time
	mu     sync.Mutex
	down   bool
	asked  url.Values                                         // of the last authorization
	spoil  func(claims jwt.MapClaims)                         // changes the token's claims
	signed func(claims jwt.MapClaims) (token string, ok bool) // signs otherwise
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{key: key, now: time.Now}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if p.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "none"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) { p.trade(w, r, answer) })
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// trade gives the token for a code, to who knows the secret and the verifier.
func (p *idp) trade(w http.ResponseWriter, r *http.Request, answer func(http.ResponseWriter, any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != "dateline" || secret != "s3cret" || r.PostFormValue("code") != "the code" || r.PostFormValue("redirect_uri") != p.asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != p.asked.Get("code_challenge") || p.asked.Get("code_challenge_method") != "S256" {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	claims := jwt.MapClaims{"iss": p.URL, "sub": "ann@id", "aud": "dateline", "nonce": p.asked.Get("nonce"),
		"iat": p.now().Unix(), "exp": p.now().Add(time.Minute).Unix()}
	if p.spoil != nil {
		p.spoil(claims)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = "1"
	raw, err := token.SignedString(p.key)
	if err != nil {
		panic(err)
	}
	if p.signed != nil {
		raw, _ = p.signed(claims)
	}
	answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": raw})
}

// visit is a browser at the provider: it comes back with this query.
func (p *idp) visit(t *testing.T, to string) url.Values {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, p.URL+"/authorize?") {
		t.Fatalf("sent to %q", to)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = u.Query()
	if p.asked.Get("redirect_uri") != officeOrigin+"/desk/signin/oidc/callback" || p.asked.Get("scope") != "openid" {
		t.Errorf("asked %v", p.asked)
	}
	return url.Values{"code": {"the code"}, "state": {p.asked.Get("state")}}
}

func newOfficeWith(t *testing.T) (*office, *idp) {
	t.Helper()
	p := newIDP(t)
	o := newOffice(t, &OIDC{Issuer: p.URL, ClientID: "dateline", ClientSecret: "s3cret"})
	p.now = o.clock
	return o, p
}

func state(value string) *http.Cookie { return &http.Cookie{Name: "__Host-desk-state", Value: value} }

// back is a browser that comes back from the provider.
func (o *office) back(q url.Values, cookie, away string) answer {
	return o.ask("GET", "/desk/signin/oidc/callback?"+q.Encode(), cookie, nil, state(away))
}

// linked links Ann's account at the provider.
func (o *office) linked(p *idp, cookie string) answer {
	o.t.Helper()
	page := o.ask("POST", "/desk/account/identity", cookie, url.Values{"code": {o.code()}})
	_, rest, _ := strings.Cut(page.text, `href="`+p.URL)
	to, _, _ := strings.Cut(rest, `"`)
	q := p.visit(o.t, p.URL+strings.ReplaceAll(to, "&amp;", "&"))
	return o.back(q, cookie, page.away)
}

func TestAnEditorLinksAndSignsIn(t *testing.T) {
	o, p := newOfficeWith(t)
	if got := o.ask("GET", "/desk/signin", "", nil); !strings.Contains(got.text, "Sign in with "+strings.TrimPrefix(p.URL, "http://")) {
		t.Error("the sign-in page does not offer the provider")
	}
	begin := o.ask("GET", "/desk/signin/oidc?next=/desk/audit", "", nil)
	if got := o.back(p.visit(t, begin.where), "", begin.away); got.status != http.StatusForbidden || !strings.Contains(problemOn(got.text), "not linked") || got.cookie != "" {
		t.Errorf("before the link: %d %s", got.status, problemOn(got.text))
	}
	cookie := o.as("Ann")
	if got := o.ask("POST", "/desk/account/identity", cookie, url.Values{"code": {"000000"}}); got.status != http.StatusBadRequest {
		t.Errorf("a link without a code: %d", got.status)
	}
	if got := o.linked(p, cookie); got.status != http.StatusSeeOther || o.trail(1) != "Ann: identity add editor/Ann "+p.URL {
		t.Fatalf("link: %d %s; %s", got.status, problemOn(got.text), o.trail(1))
	}
	o.pass(codeStep * 2e9)
	if got := o.linked(p, o.as("Rika")); got.status != http.StatusConflict {
		t.Errorf("another links the same account: %d %s", got.status, problemOn(got.text))
	}
	begin = o.ask("GET", "/desk/signin/oidc?next=/desk/audit", "", nil)
	q := p.visit(t, begin.where)
	in := o.back(q, "", begin.away)
	if in.status != http.StatusSeeOther || in.where != "/desk/audit" || o.isIn(in.cookie) != "Ann" {
		t.Fatalf("sign in: %d to %q as %q; %s", in.status, in.where, o.isIn(in.cookie), problemOn(in.text))
	}
	if got := o.back(q, "", begin.away); got.status != http.StatusForbidden || got.cookie != "" {
		t.Errorf("the same state again: %d", got.status)
	}
	o.ask("POST", "/desk/account/identity/remove", cookie, url.Values{"issuer": {p.URL}})
	begin = o.ask("GET", "/desk/signin/oidc", "", nil)
	if got := o.back(p.visit(t, begin.where), "", begin.away); got.status != http.StatusForbidden || o.trail(1) != "Ann: identity remove editor/Ann "+p.URL {
		t.Errorf("after the link ended: %d; %s", got.status, o.trail(1))
	}
}

// Whatever does not hold signs nobody in.
func TestProvidersThatAreNotBelieved(t *testing.T) {
	o, p := newOfficeWith(t)
	if got := o.linked(p, o.as("Ann")); got.status != http.StatusSeeOther {
		t.Fatal(problemOn(got.text))
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	o.must(err)
	for name, c := range map[string]struct {
		spoil  func(jwt.MapClaims)
		signed func(jwt.MapClaims) (string, bool)
		query  func(url.Values)
		away   string
	}{
		"wrong nonce":    {spoil: func(c jwt.MapClaims) { c["nonce"] = "another" }},
		"no nonce":       {spoil: func(c jwt.MapClaims) { delete(c, "nonce") }},
		"wrong audience": {spoil: func(c jwt.MapClaims) { c["aud"] = "another" }},
		"another's":      {spoil: func(c jwt.MapClaims) { c["aud"], c["azp"] = []string{"dateline", "another"}, "another" }},
		"wrong issuer":   {spoil: func(c jwt.MapClaims) { c["iss"] = "https://evil.example" }},
		"expired":        {spoil: func(c jwt.MapClaims) { c["exp"] = o.clock().Add(-time.Hour).Unix() }},
		"nobody":         {spoil: func(c jwt.MapClaims) { c["sub"] = "" }},
		"somebody else":  {spoil: func(c jwt.MapClaims) { c["sub"] = "bob@id" }},
		"alg none": {signed: func(c jwt.MapClaims) (string, bool) {
			raw, err := jwt.NewWithClaims(jwt.SigningMethodNone, c).SignedString(jwt.UnsafeAllowNoneSignatureType)
			return raw, err == nil
		}},
		"alg HS256 with the secret": {signed: func(c jwt.MapClaims) (string, bool) {
			raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte("s3cret"))
			return raw, err == nil
		}},
		"another key": {signed: func(c jwt.MapClaims) (string, bool) {
			raw, err := jwt.NewWithClaims(jwt.SigningMethodRS256, c).SignedString(other)
			return raw, err == nil
		}},
		"no token":           {signed: func(jwt.MapClaims) (string, bool) { return "", true }},
		"wrong state":        {query: func(q url.Values) { q.Set("state", "another") }},
		"no state":           {query: func(q url.Values) { q.Del("state") }},
		"another browser":    {away: "another"},
		"no code":            {query: func(q url.Values) { q.Del("code") }},
		"a wrong code":       {query: func(q url.Values) { q.Set("code", "another") }},
		"refused":            {query: func(q url.Values) { q.Set("error", "access_denied") }},
		"of another sign-in": {query: func(q url.Values) { q.Set("iss", "https://evil.example") }},
	} {
		o.pass(time.Minute)
		begin := o.ask("GET", "/desk/signin/oidc", "", nil)
		q := p.visit(t, begin.where)
		p.spoil, p.signed = c.spoil, c.signed
		if c.query != nil {
			c.query(q)
		}
		if c.away != "" {
			begin.away = c.away
		}
		if got := o.back(q, "", begin.away); got.status != http.StatusForbidden || got.cookie != "" || problemOn(got.text) == "" {
			t.Errorf("%s: %d, cookie %q, %q", name, got.status, got.cookie, problemOn(got.text))
		}
	}
}

// A provider that is down breaks neither the page nor the password, and is
// found when it comes back.
func TestAProviderThatIsDown(t *testing.T) {
	o, p := newOfficeWith(t)
	p.down = true
	if got := o.ask("GET", "/desk/signin", "", nil); got.status != http.StatusOK {
		t.Errorf("the page: %d", got.status)
	}
	if got := o.ask("GET", "/desk/signin/oidc", "", nil); got.status != http.StatusForbidden || !strings.Contains(problemOn(got.text), "does not answer") {
		t.Errorf("the provider: %d %s", got.status, problemOn(got.text))
	}
	if got := o.ask("POST", "/desk/signin", "", url.Values{"name": {"Ann"}, "password": {annsPassword}, "code": {o.code()}}); got.status != http.StatusSeeOther {
		t.Errorf("the password: %d %s", got.status, problemOn(got.text))
	}
	p.down = false
	o.pass(providerPause)
	if got := o.ask("GET", "/desk/signin/oidc", "", nil); got.status != http.StatusSeeOther {
		t.Errorf("back again: %d", got.status)
	}
}

// A stranger who asks and leaves at once keeps nobody out.
func TestWhoLeavesSaysNothingOfTheProvider(t *testing.T) {
	o, _ := newOfficeWith(t)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	o.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/desk/signin/oidc", nil))
	if got := o.ask("GET", "/desk/signin/oidc", "", nil); got.status != http.StatusSeeOther {
		t.Errorf("whoever comes next: %d %s", got.status, problemOn(got.text))
	}
}

// A link that somebody else began, or that was begun before signing out, links
// nothing.
func TestALinkIsItsEditors(t *testing.T) {
	o, p := newOfficeWith(t)
	ann := o.as("Ann")
	begin := func() (url.Values, string) {
		o.pass(codeStep * 2e9)
		page := o.ask("POST", "/desk/account/identity", ann, url.Values{"code": {o.code()}})
		_, rest, _ := strings.Cut(page.text, `href="`+p.URL)
		to, _, _ := strings.Cut(rest, `"`)
		return p.visit(t, p.URL+strings.ReplaceAll(to, "&amp;", "&")), page.away
	}
	q, away := begin()
	if got := o.back(q, o.as("Rika"), away); got.status != http.StatusForbidden {
		t.Errorf("with another's cookie: %d", got.status)
	}
	q, away = begin()
	if got := o.back(q, "", away); got.status != http.StatusForbidden || got.cookie != "" {
		t.Errorf("signed out: %d", got.status)
	}
	for _, who := range []string{"Ann", "Rika"} {
		if linked, err := o.Identities(context.Background(), who); err != nil || len(linked) != 0 {
			t.Errorf("%s: %v, %v", who, linked, err)
		}
	}
}
