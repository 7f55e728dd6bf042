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
