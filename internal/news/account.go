package news

import "time"

// Account is how an editor signs in: a password and, as second factor, codes
// of an authenticator app.
type Account struct {
	Editor   string
	Role     Role
	Password string // argon2id in PHC form
	Secret   []byte // of the codes (RFC 6238)
	Step     int64  // the time step whose code was used last; each is good once
}

// Session is one sign-in on the desk.
type Session struct {
	Editor    string
	Role      Role
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Passkey is a WebAuthn credential of an editor. It asks for the person (a
// finger, a face, a PIN) by itself, so it is both factors.
type Passkey struct {
	ID         string // the credential's, base64url
	Editor     string
	Name       string // as its editor calls it
	Credential []byte // public key and flags, JSON
	Counter    uint32 // of its uses, as the authenticator tells; 0: it tells none
	CreatedAt  time.Time
	UsedAt     time.Time // zero: never
}

// Identity is an account at an OpenID provider that opens the desk.
type Identity struct {
	Issuer, Subject string
	Editor          string
	CreatedAt       time.Time
}

// Ceremony is a sign-in that has begun and waits for the browser to come back
// with the challenge or state, once.
type Ceremony struct {
	Purpose   string
	Editor    string // whose it is; "": not known yet
	Detail    string // what was asked, JSON
	ExpiresAt time.Time
}

// Member is an editor and how she comes in.
type Member struct {
	Editor
	Joined       bool // has chosen a password and an authenticator app
	SignedInAt   time.Time
	Passkeys     int
	Identities   int
	Sessions     int       // that go on
	InvitedUntil time.Time // zero: no invitation is open
}
