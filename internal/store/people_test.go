package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

const soon = time.Hour

// signedIn is an editor who joined and signed in; her cookie's hash is "cookie of NAME".
func signedIn(t *testing.T, s *store.Store, name string, now time.Time) {
	t.Helper()
	joined(t, s, name, now)
	must(t, s.SignIn(context.Background(), account(name), 8, "cookie of "+name, now.Add(soon)))
}

func passkey(id, editor string) news.Passkey {
	return news.Passkey{ID: id, Editor: editor, Name: "her " + id, Credential: []byte(`{"key":1}`)}
}

func TestPasskeysAreKept(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		signedIn(t, s, "Ann", c.Now())
		signedIn(t, s, "Bo", c.Now())
		must(t, s.AddPasskey(ctx, passkey("phone", "Ann"), 2, "cookie of Ann"))
		for what, got := range map[string]error{
			"a credential of somebody else": s.AddPasskey(ctx, passkey("phone", "Bo"), 2, "cookie of Bo"),
			"of nobody":                     s.AddPasskey(ctx, passkey("x", "Zoe"), 2, "cookie of Zoe"),
		} {
			if !errors.Is(got, news.ErrConflict) {
				t.Errorf("%s: %v", what, got)
			}
		}
		for _, session := range []string{"", "cookie of Bo"} {
			if err := s.AddPasskey(ctx, passkey("y", "Ann"), 2, session); !errors.Is(err, news.ErrUnknownKey) {
				t.Errorf("with the session %q: %v", session, err)
			}
		}
		c.add(time.Second)
		must(t, s.AddPasskey(ctx, passkey("stick", "Ann"), 2, "cookie of Ann"))
		if err := s.AddPasskey(ctx, passkey("third", "Ann"), 2, "cookie of Ann"); !errors.Is(err, news.ErrConflict) {
			t.Errorf("one too many: %v", err)
		}
		if err := s.RemovePasskey(ctx, "Bo", "stick"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("another removes it: %v", err)
		}
		must(t, s.RemovePasskey(ctx, "Ann", "stick"))
		list, err := s.Passkeys(ctx, "Ann")
		if must(t, err); len(list) != 1 || list[0].ID != "phone" || list[0].Name != "her phone" || string(list[0].Credential) != `{"key":1}` {
			t.Errorf("kept: %+v", list)
		}
	})
}

// A counter that does not rise, a passkey that is gone and an editor who is gone
// begin no session.
func TestASignInByPasskey(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		signedIn(t, s, "Ann", c.Now())
		must(t, s.AddPasskey(ctx, passkey("phone", "Ann"), 9, "cookie of Ann"))
		n := 0
		enter := func(counter uint32) error {
			n++
			p := passkey("phone", "Ann")
			p.Counter = counter
			return s.SignInByPasskey(ctx, p, fmt.Sprint("by passkey ", n), c.Now().Add(soon))
		}
		for i, step := range []struct {
			counter uint32
			ok      bool
		}{{0, true}, {0, true}, {5, true}, {5, false}, {4, false}, {0, false}, {6, true}} {
			if err := enter(step.counter); step.ok != (err == nil) || err != nil && !errors.Is(err, news.ErrConflict) {
				t.Errorf("sign-in %d with the counter %d: %v", i, step.counter, err)
			}
		}
		if p, err := s.Passkey(ctx, "phone"); err != nil || p.Counter != 6 || p.UsedAt.IsZero() {
			t.Errorf("kept: %+v, %v", p, err)
		}
		must(t, s.Invite(ctx, "Ann", "again", c.Now().Add(soon), news.SystemName))
		must(t, s.Join(ctx, "again", news.Account{Editor: "Ann", Password: "$argon2id$x", Secret: secret}))
		if err := enter(7); !errors.Is(err, news.ErrConflict) {
			t.Errorf("after a new invitation was used: %v", err)
		}
		must(t, s.RemoveEditor(ctx, "Ann", "Bo"))
		if err := enter(8); !errors.Is(err, news.ErrConflict) {
			t.Errorf("after she left: %v", err)
		}
	})
}

func TestIdentities(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		signedIn(t, s, "Ann", c.Now())
		signedIn(t, s, "Bo", c.Now())
		must(t, s.AddIdentity(ctx, news.Identity{Issuer: "https://id", Subject: "7", Editor: "Ann"}, "cookie of Ann"))
		for what, i := range map[string]news.Identity{"another's": {Issuer: "https://id", Subject: "7", Editor: "Bo"}, "a second one": {Issuer: "https://id", Subject: "8", Editor: "Ann"}} {
			if err := s.AddIdentity(ctx, i, "cookie of "+i.Editor); !errors.Is(err, news.ErrConflict) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if name, err := s.SignInByIdentity(ctx, "https://id", "7", "by id", c.Now().Add(soon)); err != nil || name != "Ann" {
			t.Errorf("sign in: %q, %v", name, err)
		}
		if got, err := s.Session(ctx, "by id"); err != nil || got.Editor != "Ann" {
			t.Errorf("session: %+v, %v", got, err)
		}
		for _, other := range [][2]string{{"https://id", "8"}, {"https://other", "7"}} {
			if _, err := s.SignInByIdentity(ctx, other[0], other[1], "x", c.Now().Add(soon)); !errors.Is(err, news.ErrNotFound) {
				t.Errorf("%v: %v", other, err)
			}
		}
		must(t, s.RemoveIdentity(ctx, "Ann", "https://id"))
		if _, err := s.SignInByIdentity(ctx, "https://id", "7", "y", c.Now().Add(soon)); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("a link that was ended: %v", err)
		}
	})
}

func TestACeremonyIsTakenOnce(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		m := news.Ceremony{Purpose: "a", Editor: "Ann", Detail: "{}", ExpiresAt: c.Now().Add(time.Minute)}
		for _, hash := range []string{"one", "two"} {
			must(t, s.BeginCeremony(ctx, hash, m))
		}
		if _, err := s.TakeCeremony(ctx, "one", "b"); !errors.Is(err, news.ErrGone) {
			t.Errorf("for another purpose: %v", err)
		}
		got, err := s.TakeCeremony(ctx, "one", "a")
		if must(t, err); cmp.Diff(m, got) != "" {
			t.Error(cmp.Diff(m, got))
		}
		if _, err := s.TakeCeremony(ctx, "one", "a"); !errors.Is(err, news.ErrGone) {
			t.Errorf("twice: %v", err)
		}
		c.add(time.Minute)
		if _, err := s.TakeCeremony(ctx, "two", "a"); !errors.Is(err, news.ErrGone) {
			t.Errorf("too late: %v", err)
		}
	})
}

// Somebody who began to sign in with the old password comes to the door after a
// new one was chosen: no session begins, and none is left of one that came
// before.
func TestASignInAndAJoinAtOnce(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s, ctx := storetest.Open(t, store.Config{URL: url}), context.Background()
		joined(t, s, "Ann", time.Now())
		old := account("Ann")
		for round := range 20 {
			must(t, s.Invite(ctx, "Ann", "invitation", time.Now().Add(soon), news.SystemName))
			fresh := news.Account{Editor: "Ann", Password: fmt.Sprint("password ", round), Secret: secret}
			var together sync.WaitGroup
			together.Go(func() {
				err := s.SignIn(ctx, old, int64(1000+round), fmt.Sprint("cookie ", round), time.Now().Add(soon))
				if err != nil && !errors.Is(err, news.ErrConflict) {
					t.Error(err)
				}
			})
			together.Go(func() {
				if err := s.Join(ctx, "invitation", fresh); err != nil {
					t.Error(err)
				}
			})
			together.Wait()
			if got, err := s.Session(ctx, fmt.Sprint("cookie ", round)); !errors.Is(err, news.ErrUnknownKey) {
				t.Fatalf("the old password's session goes on: %+v, %v", got, err)
			}
			if err := s.SignIn(ctx, old, 5000, "late", time.Now().Add(soon)); !errors.Is(err, news.ErrConflict) {
				t.Fatalf("the old password afterwards: %v", err)
			}
			old = fresh
		}
	})
}

// The last chief who can sign in stays one, also when two go for each other at
// once.
func TestTheLastChiefStays(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		chief := func(name string) { must(t, s.AddEditor(ctx, news.Editor{Name: name, Role: news.RoleChief}, "Boss")) }
		chief("Ann")
		chief("Bo")
		must(t, s.RemoveEditor(ctx, "Bo", "Ann")) // neither has joined
		refused := func(what string) {
			t.Helper()
			if err := s.AddEditor(ctx, news.Editor{Name: "Ann", Role: news.RoleEditor}, "Ann"); !errors.Is(err, news.ErrConflict) {
				t.Errorf("%s is demoted: %v", what, err)
			}
			if err := s.RemoveEditor(ctx, "Ann", "Ann"); !errors.Is(err, news.ErrConflict) {
				t.Errorf("%s is removed: %v", what, err)
			}
		}
		refused("the only chief")
		join := func(name string) {
			must(t, s.Invite(ctx, name, "of "+name, c.Now().Add(soon), "Boss"))
			must(t, s.Join(ctx, "of "+name, news.Account{Editor: name, Password: "p", Secret: secret}))
		}
		join("Ann")
		chief("Bo")
		refused("the only chief who can sign in")
		join("Bo")
		var together sync.WaitGroup
		failed := make(chan error, 2)
		for by, of := range map[string]string{"Ann": "Bo", "Bo": "Ann"} {
			together.Go(func() { failed <- s.RemoveEditor(ctx, of, by) })
		}
		together.Wait()
		if a, b := <-failed, <-failed; (a == nil) == (b == nil) {
			t.Errorf("each removes the other: %v, %v", a, b)
		}
		members, err := s.Members(ctx)
		if must(t, err); len(members) != 1 || members[0].Role != news.RoleChief {
			t.Errorf("left: %+v", members)
		}
	})
}

func TestMembersAndWhoDidIt(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		signedIn(t, s, "Ann", c.Now())
		must(t, s.AddPasskey(ctx, passkey("phone", "Ann"), 9, "cookie of Ann"))
		must(t, s.AddEditor(ctx, news.Editor{Name: "Rika", Role: news.RoleReporter}, "Ann"))
		must(t, s.Invite(ctx, "Rika", "open", c.Now().Add(soon), "Ann"))
		must(t, s.AddAPIKey(ctx, news.APIKey{ID: "k", Editor: "Rika", Hash: "h"}, "Ann"))
		must(t, s.RevokeAPIKey(ctx, "k", "Ann"))
		must(t, s.SignOutEverywhere(ctx, "Rika", "Ann"))
		must(t, s.AddEditor(ctx, news.Editor{Name: "Rika", Role: news.RoleEditor}, "Ann"))
		members, err := s.Members(ctx)
		must(t, err)
		if m := members[0]; m.Name != "Ann" || !m.Joined || !m.SignedInAt.Equal(c.Now()) || m.Passkeys != 1 || m.Sessions != 1 || !m.InvitedUntil.IsZero() {
			t.Errorf("Ann: %+v", m)
		}
		if m := members[1]; m.Name != "Rika" || m.Joined || m.Role != news.RoleEditor || !m.SignedInAt.IsZero() || !m.InvitedUntil.Equal(c.Now().Add(soon)) {
			t.Errorf("Rika: %+v", m)
		}
		must(t, s.RemoveEditor(ctx, "Rika", "Ann"))
		entries, err := s.Audit(ctx, 7)
		must(t, err)
		var actions []string
		for _, e := range entries {
			if e.By != "Ann" {
				t.Errorf("%s is said to be by %s", e.Action, e.By)
			}
			actions = append(actions, e.Action)
		}
		want := []string{"editor remove", "editor role", "sign out everywhere", "apikey revoke", "apikey add", "editor invite", "editor add"}
		if diff := cmp.Diff(want, actions); diff != "" {
			t.Error(diff)
		}
	})
}

// A name is one person's in whatever letters it is typed, also where the
// database does not know them.
func TestAccountsInAnyLetters(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		for _, name := range []string{"Élodie Анна", "Bo"} {
			joined(t, s, name, c.Now())
		}
		for typed, want := range map[string]string{"élodie анна": "Élodie Анна", "ÉLODIE АННА": "Élodie Анна", "bO": "Bo", "Elodie Анна": "", "": ""} {
			if a, err := s.Account(ctx, typed); a.Editor != want || errors.Is(err, news.ErrNotFound) != (want == "") {
				t.Errorf("%q is %q, %v", typed, a.Editor, err)
			}
		}
	})
}
