package desk

import (
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"dateline/internal/news"
)

const (
	// leastPassword is in characters. NIST SP 800-63B-4 section 3.1.1.2 asks
	// for 8 beside a second factor; what opens a newsroom may be longer.
	leastPassword = 12
	// mostPassword is in bytes: hashing must not cost what a stranger chooses.
	mostPassword = 256
	// codeStep is how long a code of the authenticator app is shown, and
	// codeDrift how many steps the phone's clock may be off, either way
	// (RFC 6238 section 5.2).
	codeStep  = 30
	codeDrift = 1
)

// passwordCost is OWASP's for argon2id: 19 MiB, two passes; about 50 ms.
func passwordCost() *argon2id.Params {
	return &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// hashPassword is what is kept of a password, or what is wrong with it.
func hashPassword(password, editor string) (string, error) {
	switch {
	case utf8.RuneCountInString(password) < leastPassword:
		return "", news.Invalid("password", "must have at least %d characters; a few words in a row are easy to remember", leastPassword)
	case len(password) > mostPassword:
		return "", news.Invalid("password", "must have at most %d bytes", mostPassword)
	case strings.Contains(strings.ToLower(password), strings.ToLower(editor)):
		return "", news.Invalid("password", "must not contain your name")
	}
	hash, err := argon2id.CreateHash(password, passwordCost())
	if err != nil {
		return "", fmt.Errorf("desk: hash a password: %w", err)
	}
	return hash, nil
}

// isPassword compares in constant time. A hash that can't be read fits nothing.
func isPassword(password, hash string) bool {
	if len(password) > mostPassword {
		return false
	}
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	return ok && err == nil
}

// usedStep finds the time step a code belongs to, the present one or a
// neighbour, later than the last one used. Spaces in the code are the app's.
func usedStep(secret []byte, code string, used int64, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	current := now.Unix() / codeStep
	for s := current - codeDrift; s <= current+codeDrift; s++ {
		want, err := totp.GenerateCodeCustom(secretText(secret), time.Unix(s*codeStep, 0), totp.ValidateOpts{
			Period: codeStep, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && s > used && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return s, true
		}
	}
	return 0, false
}

// secretText is a secret as authenticator apps read it.
func secretText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}
