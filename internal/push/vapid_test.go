package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

func mustKey(t testing.TB) VAPID {
	t.Helper()
	key, err := NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// readJWT verifies a header with golang-jwt, which shares nothing with ours.
func readJWT(t testing.TB, header, public string, now time.Time) jwt.MapClaims {
	t.Helper()
	text, ok := strings.CutPrefix(header, "vapid t=")
	text, k, cut := strings.Cut(text, ", k=")
	if !ok || !cut || k != public {
		t.Fatalf("header %q", header)
	}
	point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unb64(t, public))
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(func() time.Time { return now })).
		ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return point, nil })
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestAuthorization(t *testing.T) {
	key := mustKey(t)
	now := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	header, err := authorization(key, "https://web.push.apple.com", "mailto:desk@news.example", now.Add(tokenLife))
	if err != nil {
		t.Fatal(err)
	}
	want := jwt.MapClaims{"aud": "https://web.push.apple.com", "sub": "mailto:desk@news.example", "exp": float64(now.Add(12 * time.Hour).Unix())}
	if diff := cmp.Diff(want, readJWT(t, header, key.PublicKey(), now)); diff != "" {
		t.Error(diff)
	}
	header, err = authorization(key, "https://fcm.googleapis.com", "", now.Add(tokenLife))
	if err != nil {
		t.Fatal(err)
	}
	if claims := readJWT(t, header, key.PublicKey(), now); claims["sub"] != nil {
		t.Errorf("without a subject there is a sub: %v", claims)
	}
}

// TestAuthorizationOracle: what webpush-go sends reads as ours does.
func TestAuthorizationOracle(t *testing.T) {
	key := mustKey(t)
	_, to := receiver(t)
	_, peer := theirs(t, key, to, "x")
	now := time.Now()
	ours, err := authorization(key, Origin(to.Endpoint), "mailto:desk@news.example", now.Add(tokenLife))
	if err != nil {
		t.Fatal(err)
	}
	a, b := readJWT(t, ours, key.PublicKey(), now), readJWT(t, peer, key.PublicKey(), now)
	delete(a, "exp")
	delete(b, "exp")
	if diff := cmp.Diff(b, a); diff != "" {
		t.Error(diff)
	}
}

func TestTokenIsReused(t *testing.T) {
	key := mustKey(t)
	start := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	var tok token
	at := func(d time.Duration) string {
		header, err := tok.value(key, "https://fcm.googleapis.com", "", start.Add(d))
		if err != nil {
			t.Fatal(err)
		}
		return header[0]
	}
	first := at(0)
	if at(tokenRefresh-time.Second) != first {
		t.Error("signed anew before half of its life")
	}
	if at(-clockSlack+time.Second) != first {
		t.Error("signed anew for a small step of the clock")
	}
	second := at(tokenRefresh)
	if second == first {
		t.Error("not signed anew at half of its life")
	}
	claims := readJWT(t, second, key.PublicKey(), start.Add(tokenRefresh))
	if exp := int64(claims["exp"].(float64)); exp != start.Add(tokenRefresh+tokenLife).Unix() {
		t.Errorf("exp %d", exp)
	}
	// The clock is set back: a token from the future would be refused.
	if at(-24*time.Hour) == second {
		t.Error("kept a token from the future")
	}
}

func TestVAPIDKey(t *testing.T) {
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{private, private + "=", " " + private + "\n"} {
		key, err := ParseVAPIDKey(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if key.PublicKey() != public || key.Secret() != private || len(key.KeyID()) != 16 || key.IsZero() {
			t.Errorf("%q: public %s, id %s", text, key.PublicKey(), key.KeyID())
		}
	}
	zeros := strings.Repeat("A", 43)
	order := "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE" // the curve's order itself
	for _, text := range []string{"", "x", private[:42], private + "AA", public, zeros, order, strings.Repeat("*", 43)} {
		if _, err := ParseVAPIDKey(text); err == nil {
			t.Errorf("took %q", text)
		} else if text != "" && text != "x" && strings.Contains(err.Error(), text) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
}

func TestVAPIDKeyStaysSecret(t *testing.T) {
	key := mustKey(t)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key)
	raw, err := json.Marshal(map[string]any{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %s %s", key, key, key, key, key, raw, log.String())
	all += fmt.Sprintf("%v %+v %#v", Config{Keys: key}, Config{Keys: key}, Config{Keys: key})
	digits := fmt.Sprint(unb64(t, key.Secret()))
	for _, secret := range []string{key.Secret(), digits[1 : len(digits)-1], fmt.Sprintf("%x", unb64(t, key.Secret()))} {
		if strings.Contains(all, secret) {
			t.Errorf("the secret is in %s", all)
		}
	}
	if (VAPID{}).Secret() != "" || !(VAPID{}).IsZero() {
		t.Error("zero key")
	}
}
