package store_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

var secret = []byte("a secret of the authenticator app")

// joined is an editor who has chosen a password.
func joined(t *testing.T, s *store.Store, name string, now time.Time) {
	t.Helper()
	ctx := context.Background()
	must(t, s.AddEditor(ctx, news.Editor{Name: name, Role: news.RoleEditor}, news.SystemName))
	must(t, s.Invite(ctx, name, "invitation of "+name, now.Add(time.Hour), news.SystemName))
	must(t, s.Join(ctx, "invitation of "+name, news.Account{Editor: name, Password: "$argon2id$x", Secret: secret, Step: 7}))
}

// account is what a sign-in read of an editor who joined.
func account(name string) news.Account { return news.Account{Editor: name, Password: "$argon2id$x"} }

func TestAnInvitationIsGoodOnce(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		if err := s.Invite(ctx, "nobody", "h", c.Now().Add(time.Hour), news.SystemName); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an invitation of nobody: %v", err)
		}
		must(t, s.AddEditor(ctx, news.Editor{Name: "Rika", Role: news.RoleReporter}, news.SystemName))
		must(t, s.Invite(ctx, "Rika", "first", c.Now().Add(time.Hour), news.SystemName))
		must(t, s.Invite(ctx, "Rika", "second", c.Now().Add(time.Hour), news.SystemName))
		account := news.Account{Editor: "Rika", Password: "p", Secret: secret}
		if err := s.Join(ctx, "first", account); !errors.Is(err, news.ErrGone) {
			t.Errorf("a replaced invitation: %v", err)
		}
		if name, err := s.Invited(ctx, "second"); err != nil || name != "Rika" {
			t.Errorf("Invited = %q, %v", name, err)
		}
		if err := s.Join(ctx, "second", news.Account{Editor: "Ann", Password: "p", Secret: secret}); !errors.Is(err, news.ErrGone) {
			t.Errorf("another's invitation: %v", err)
		}
		must(t, s.Join(ctx, "second", account))
		if err := s.Join(ctx, "second", account); !errors.Is(err, news.ErrGone) {
			t.Errorf("a used invitation: %v", err)
		}
		must(t, s.Invite(ctx, "Rika", "late", c.Now().Add(time.Hour), news.SystemName))
		c.add(time.Hour)
		if _, err := s.Invited(ctx, "late"); !errors.Is(err, news.ErrGone) {
			t.Errorf("an expired invitation: %v", err)
		}
		if err := s.Join(ctx, "late", account); !errors.Is(err, news.ErrGone) {
			t.Errorf("an expired invitation is used: %v", err)
		}
	})
}

func TestACodeIsGoodOnce(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		if _, err := s.Account(ctx, "Ann"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("the account of nobody: %v", err)
		}
		joined(t, s, "Ann", c.Now())
		a, err := s.Account(ctx, "Ann")
		if must(t, err); a.Role != news.RoleEditor || a.Password != "$argon2id$x" || !bytes.Equal(a.Secret, secret) || a.Step != 7 {
			t.Errorf("account %+v", a)
		}
		for _, step := range []int64{6, 7} {
			if err := s.SignIn(ctx, account("Ann"), step, "cookie", c.Now().Add(time.Hour)); !errors.Is(err, news.ErrConflict) {
				t.Errorf("the code of step %d again: %v", step, err)
			}
		}
		must(t, s.SignIn(ctx, account("Ann"), 8, "cookie", c.Now().Add(time.Hour)))
		if err := s.SignIn(ctx, account("Ann"), 8, "other", c.Now().Add(time.Hour)); !errors.Is(err, news.ErrConflict) {
			t.Errorf("the same code twice: %v", err)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		joined(t, s, "Ann", c.Now())
		joined(t, s, "Bo", c.Now())
		ends := c.Now().Add(12 * time.Hour)
		must(t, s.SignIn(ctx, account("Ann"), 20, "a", ends))
		must(t, s.SignIn(ctx, account("Ann"), 21, "b", ends))
		must(t, s.SignIn(ctx, account("Bo"), 21, "c", ends))
		signedIn := func(hash, name string) {
			t.Helper()
			got, err := s.Session(ctx, hash)
			if name == "" && !errors.Is(err, news.ErrUnknownKey) {
				t.Errorf("session %s: %+v, %v; want none", hash, got, err)
			}
			if name != "" && (err != nil || got.Editor != name || !got.ExpiresAt.Equal(ends)) {
				t.Errorf("session %s: %+v, %v; want %s", hash, got, err, name)
			}
		}
		signedIn("a", "Ann")
		must(t, s.AddEditor(ctx, news.Editor{Name: "Ann", Role: news.RoleReporter}, news.SystemName))
		signedIn("a", "") // no session outlives a change of role (T75)
		signedIn("c", "Bo")
		must(t, s.SignIn(ctx, account("Ann"), 22, "a", ends))
		must(t, s.SignIn(ctx, account("Ann"), 23, "b", ends))
		if got, err := s.Session(ctx, "a"); err != nil || got.Role != news.RoleReporter {
			t.Errorf("a session after the change of role: %+v, %v", got, err)
		}
		must(t, s.AddEditor(ctx, news.Editor{Name: "Ann", Role: news.RoleReporter}, news.SystemName))
		signedIn("a", "Ann") // the same role again changes nothing
		must(t, s.SignOut(ctx, "a"))
		must(t, s.SignOut(ctx, "a"))
		signedIn("a", "")
		signedIn("b", "Ann")
		must(t, s.SignOutEverywhere(ctx, "Ann", "Ann"))
		signedIn("b", "")
		signedIn("c", "Bo")
		must(t, s.Invite(ctx, "Bo", "again", ends, news.SystemName))
		must(t, s.Join(ctx, "again", news.Account{Editor: "Bo", Password: "$argon2id$x", Secret: secret}))
		signedIn("c", "")
		must(t, s.SignIn(ctx, account("Bo"), 30, "d", ends))
		c.add(12 * time.Hour)
		signedIn("d", "")
	})
}

// The second factor's secret is not readable in the database.
func TestSecretsAreSealed(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		joined(t, s, "Ann", time.Now())
		if all := dump(t, raw(t, url), []string{"accounts", "invitations", "sessions", "audit"}); bytes.Contains(all, secret) {
			t.Error("the secret stands in the database")
		}
	})
}

// Whoever leaves the newsroom leaves with every key and session.
func TestAnEditorIsRemoved(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		joined(t, s, "Ann", c.Now())
		joined(t, s, "Bo", c.Now())
		for _, k := range []news.APIKey{{ID: "k1", Editor: "Ann", Hash: "h1"}, {ID: "k2", Editor: "Bo", Hash: "h2"}, {ID: "k3", Editor: "Bo", Hash: "h3"}} {
			must(t, s.AddAPIKey(ctx, k, news.SystemName))
		}
		must(t, s.SignIn(ctx, account("Ann"), 20, "cookie", c.Now().Add(time.Hour)))
		must(t, s.Invite(ctx, "Ann", "open", c.Now().Add(time.Hour), news.SystemName))
		must(t, s.RemoveEditor(ctx, "Ann", news.SystemName))
		must(t, s.RevokeAPIKey(ctx, "k2", news.SystemName))
		for what, err := range map[string]error{"remove again": s.RemoveEditor(ctx, "Ann", news.SystemName), "revoke again": s.RevokeAPIKey(ctx, "k2", news.SystemName)} {
			if !errors.Is(err, news.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := s.APIKey(ctx, "h1"); !errors.Is(err, news.ErrUnknownKey) {
			t.Errorf("her key: %v", err)
		}
		if _, err := s.APIKey(ctx, "h2"); !errors.Is(err, news.ErrUnknownKey) {
			t.Errorf("the revoked key: %v", err)
		}
		if p, err := s.APIKey(ctx, "h3"); err != nil || p.Name != "Bo" {
			t.Errorf("another's key: %+v, %v", p, err)
		}
		if _, err := s.Session(ctx, "cookie"); !errors.Is(err, news.ErrUnknownKey) {
			t.Errorf("her session: %v", err)
		}
		if _, err := s.Invited(ctx, "open"); !errors.Is(err, news.ErrGone) {
			t.Errorf("her invitation: %v", err)
		}
	})
}
