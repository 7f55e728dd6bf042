package push

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	webpush "github.com/SherClockHolmes/webpush-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// open is the receiving side, written from RFC 8188 and RFC 8291 alone and on
// crypto/hkdf, so that it shares nothing with Seal.
func open(private *ecdh.PrivateKey, auth, body []byte) ([]byte, error) {
	// RFC 8188 2.1: salt (16), rs (4), idlen (1), keyid (idlen).
	if len(body) < 21+65 || body[20] != 65 {
		return nil, errors.New("header")
	}
	salt, rs, keyid, ciphertext := body[:16], binary.BigEndian.Uint32(body[16:20]), body[21:86], body[86:]
	// RFC 8291 4: one record, and rs is greater than its length.
	if uint32(len(ciphertext)) >= rs {
		return nil, errors.New("record size")
	}
	sender, err := ecdh.P256().NewPublicKey(keyid)
	if err != nil {
		return nil, err
	}
	secret, err := private.ECDH(sender)
	if err != nil {
		return nil, err
	}
	// RFC 8291 3.4.
	prkKey, _ := hkdf.Extract(sha256.New, secret, auth)
	keyInfo := "WebPush: info\x00" + string(private.PublicKey().Bytes()) + string(keyid)
	ikm, _ := hkdf.Expand(sha256.New, prkKey, keyInfo, 32)
	// RFC 8188 2.2, 2.3.
	prk, _ := hkdf.Extract(sha256.New, ikm, salt)
	cek, _ := hkdf.Expand(sha256.New, prk, "Content-Encoding: aes128gcm\x00", 16)
	nonce, _ := hkdf.Expand(sha256.New, prk, "Content-Encoding: nonce\x00", 12)
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, ciphertext, nil)
	if err != nil {
		return nil, err
	}
	// RFC 8188 2: zeros, and before them 2 in the last record.
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, errors.New("delimiter")
	}
	return plain[:len(plain)-1], nil
}

// receiver makes one subscription.
func receiver(t testing.TB) (*ecdh.PrivateKey, Target) {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth := make([]byte, 16)
	if _, err := rand.Read(auth); err != nil {
		t.Fatal(err)
	}
	return private, Target{Endpoint: "https://fcm.googleapis.com/fcm/send/x", P256dh: private.PublicKey().Bytes(), Auth: auth}
}

// TestSealVector is the example of RFC 8291 section 5 and appendix A.
func TestSealVector(t *testing.T) {
	own, err := ecdh.P256().NewPrivateKey(unb64(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	to := Target{
		P256dh: unb64(t, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
		Auth:   unb64(t, "BTBZMqHH6r4Tts7J_aSIgg"),
	}
	text := []byte("When I grow up, I want to be a watermelon")
	var salt [saltLen]byte
	copy(salt[:], unb64(t, "DGv6ra1nlYgDCS1FRnbzlw"))
	body, err := seal(own, salt, to, text, len(text)+1)
	if err != nil {
		t.Fatal(err)
	}
	want := "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
	if got := base64.RawURLEncoding.EncodeToString(body); got != want {
		t.Errorf("body\n got %s\nwant %s", got, want)
	}
	reader, err := ecdh.P256().NewPrivateKey(unb64(t, "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := open(reader, to.Auth, body); err != nil || string(plain) != string(text) {
		t.Errorf("open: %q, %v", plain, err)
	}
}

func TestSealOpens(t *testing.T) {
	private, to := receiver(t)
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, MaxPayload).Draw(t, "payload")
		before := bytes.Clone(payload)
		body, err := Seal(to, payload)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(payload, before) {
			t.Fatal("the payload was changed")
		}
		if want := headerLen + PadTo(len(payload)) + tagLen; len(body) != want || want > maxBody {
			t.Fatalf("body has %d bytes, want %d", len(body), want)
		}
		plain, err := open(private, to.Auth, body)
		if err != nil || !bytes.Equal(plain, payload) {
			t.Fatalf("open: %x, %v", plain, err)
		}
	})
}

func TestPadTo(t *testing.T) {
	for n, want := range map[int]int{-1: 0, 0: 512, 511: 512, 512: 1024, 1023: 1024, 1024: 1536, MaxPayload: 1536, MaxPayload + 1: 0, 1 << 20: 0} {
		if got := PadTo(n); got != want {
			t.Errorf("PadTo(%d) = %d, want %d", n, got, want)
		}
	}
}

// TestSealIsFresh: no two messages share a key, a salt or a byte of ciphertext
// worth speaking of.
func TestSealIsFresh(t *testing.T) {
	_, to := receiver(t)
	seen := map[string]bool{}
	for range 200 {
		body, err := Seal(to, []byte("the same text"))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"salt " + string(body[:16]), "key " + string(body[21:86]), "text " + string(body[86:102])} {
			if seen[part] {
				t.Fatal("a part came twice")
			}
			seen[part] = true
		}
	}
}

// TestSealShared: one payload, with spare capacity behind it, sealed by many at
// once. (webpush-go writes its padding there.)
func TestSealShared(t *testing.T) {
	private, to := receiver(t)
	payload := append(make([]byte, 0, 4096), "shared"...)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				body, err := Seal(to, payload)
				if err != nil {
					t.Error(err)
					return
				}
				if plain, err := open(private, to.Auth, body); err != nil || string(plain) != "shared" {
					t.Errorf("open: %q, %v", plain, err)
				}
			}
		})
	}
	all.Wait()
	if spare := payload[:4096][6:]; len(bytes.Trim(spare, "\x00")) != 0 {
		t.Error("something was written behind the payload")
	}
}

func TestSealRefuses(t *testing.T) {
	_, good := receiver(t)
	offCurve := bytes.Clone(good.P256dh)
	offCurve[64] ^= 1
	for name, c := range map[string]struct {
		to      Target
		payload int
	}{
		"too long":        {good, MaxPayload + 1},
		"no keys":         {Target{}, 1},
		"short auth":      {Target{P256dh: good.P256dh, Auth: good.Auth[:15]}, 1},
		"compressed":      {Target{P256dh: good.P256dh[:33], Auth: good.Auth}, 1},
		"not on curve":    {Target{P256dh: offCurve, Auth: good.Auth}, 1},
		"point of zeros":  {Target{P256dh: make([]byte, 65), Auth: good.Auth}, 1},
		"infinity":        {Target{P256dh: []byte{0}, Auth: good.Auth}, 1},
		"one byte longer": {Target{P256dh: append(bytes.Clone(good.P256dh), 0), Auth: good.Auth}, 1},
	} {
		if _, err := Seal(c.to, make([]byte, c.payload)); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

func TestMac(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "key")
		text := rapid.SliceOfN(rapid.Byte(), 0, 14+2*pointLen+1).Draw(t, "text")
		oracle := hmac.New(sha256.New, key)
		oracle.Write(text)
		if got := mac(key, text); !hmac.Equal(got[:], oracle.Sum(nil)) {
			t.Fatal("differs from crypto/hmac")
		}
	})
}

// capture is an HTTP client for webpush-go that keeps the request.
type capture struct{ header, body *[]string }

func (c capture) Do(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	*c.body = append(*c.body, string(raw))
	*c.header = append(*c.header, r.Header.Get("Authorization"))
	return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, err
}

// theirs sends one message through webpush-go and gives its body and header.
func theirs(t testing.TB, key VAPID, to Target, payload string) (body []byte, authorization string) {
	t.Helper()
	var bodies, headers []string
	_, err := webpush.SendNotification([]byte(payload), &webpush.Subscription{Endpoint: to.Endpoint, Keys: webpush.Keys{
		P256dh: base64.RawURLEncoding.EncodeToString(to.P256dh), Auth: base64.RawURLEncoding.EncodeToString(to.Auth)}},
		&webpush.Options{HTTPClient: capture{&headers, &bodies}, Subscriber: "desk@news.example", TTL: 60,
			VAPIDPublicKey: key.PublicKey(), VAPIDPrivateKey: key.Secret()})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(bodies[0]), headers[0]
}

// TestOracle: webpush-go and the independent decoder agree, and both say of our
// body what they say of webpush-go's.
func TestOracle(t *testing.T) {
	private, to := receiver(t)
	key, err := NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("東京 ", 100)
	peer, _ := theirs(t, key, to, text)
	ours, err := Seal(to, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"webpush-go": peer, "ours": ours} {
		plain, err := open(private, to.Auth, body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(text, string(plain)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if !bytes.Equal(ours[16:21], peer[16:21]) {
		t.Errorf("record size and key length: ours %x, webpush-go %x", ours[16:21], peer[16:21])
	}
}
