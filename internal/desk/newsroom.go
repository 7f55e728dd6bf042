package desk

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Newsroom is where editors and their keys are kept. AddEditor gives an editor
// who is known the new role.
type Newsroom interface {
	AddEditor(ctx context.Context, e news.Editor, by string) error
	Editors(ctx context.Context) ([]news.Editor, error)
	AddAPIKey(ctx context.Context, k news.APIKey, by string) error
	Invite(ctx context.Context, editor, hash string, expires time.Time, by string) error
}

const (
	// powerfulKeyLife is how long a key that can approve or release may last
	// (DESIGN 9): a key is one factor, and these are the steps that reach
	// readers.
	powerfulKeyLife = 24 * time.Hour
	keyPrefix       = "dl_" // so that a key that leaked is found by a scanner
	longestName     = 64    // characters
)

// AddEditor adds a person to the newsroom, or gives one who is there another
// role. Names are identities, the second person's rule compares them, so a
// name that differs from a known one only in case is refused. by is who does it.
func AddEditor(ctx context.Context, store Newsroom, name string, role news.Role, by string, now time.Time) (news.Editor, error) {
	name, err := editorName(name)
	if err != nil {
		return news.Editor{}, err
	}
	if RoleScopes(role) == nil {
		return news.Editor{}, news.Invalid("role", "must be reporter, editor or chief, not %q", firstRunes(string(role), 40))
	}
	switch known, err := findEditor(ctx, store, name); {
	case err == nil && known.Name != name:
		return news.Editor{}, fmt.Errorf("%w: there is an editor %s already", news.ErrConflict, known.Name)
	case err != nil && !errors.Is(err, news.ErrNotFound):
		return news.Editor{}, err
	}
	e := news.Editor{Name: name, Role: role, CreatedAt: now}
	if err := store.AddEditor(ctx, e, by); err != nil {
		return news.Editor{}, fmt.Errorf("desk: add editor %s: %w", name, err)
	}
	return e, nil
}

// Invite opens an editor's invitation to the desk's pages and returns the path
// of its page, this once: the store has a hash. An earlier invitation is void.
// by is who invites.
func Invite(ctx context.Context, store Newsroom, name, by string, now time.Time) (path string, until time.Time, err error) {
	token, until := rand.Text(), now.Add(inviteFor)
	if err := store.Invite(ctx, name, web.HashKey(token), until, by); err != nil {
		return "", until, fmt.Errorf("desk: invite %s: %w", name, err)
	}
	return web.DeskPath + "/join/" + token, until, nil
}

// editorName is a name as it is kept, or what is wrong with it.
func editorName(name string) (string, error) {
	name = news.CleanLine(name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "", news.Invalid("name", "is required")
	case n > longestName:
		return "", news.Invalid("name", "has %d characters; at most %d", n, longestName)
	case strings.EqualFold(name, news.SystemName):
		return "", news.Invalid("name", "%s is what the program calls itself", news.SystemName)
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" .-_'@", r) {
			return "", news.Invalid("name", "may have letters, digits, spaces and . - _ ' @, not %q", r)
		}
	}
	return name, nil
}

func findEditor(ctx context.Context, store Newsroom, name string) (news.Editor, error) {
	editors, err := store.Editors(ctx)
	if err != nil {
		return news.Editor{}, fmt.Errorf("desk: read the editors: %w", err)
	}
	for _, e := range editors {
		if strings.EqualFold(e.Name, name) {
			return e, nil
		}
	}
	return news.Editor{}, fmt.Errorf("%w: there is no editor %s", news.ErrNotFound, firstRunes(name, longestName))
}

// KeyWish is the API key somebody asks for.
type KeyWish struct {
	Editor string
	Scopes []string
	Life   time.Duration // 0: as long as the scopes allow
	By     string        // who makes it; "": the system
}

// AddAPIKey makes a key that acts as an editor and returns it: the only time
// it is seen, the store has its hash. A key that can approve or release lasts
// Life or 24 hours, whichever is less; others last Life, or for ever.
func AddAPIKey(ctx context.Context, store Newsroom, wish KeyWish, now time.Time) (string, news.APIKey, error) {
	name, err := editorName(wish.Editor)
	if err != nil {
		return "", news.APIKey{}, err
	}
	e, err := findEditor(ctx, store, name)
	if err != nil {
		return "", news.APIKey{}, err
	}
	scopes, err := keyScopes(wish.Scopes, e.Role)
	if err != nil {
		return "", news.APIKey{}, err
	}
	if wish.Life < 0 {
		return "", news.APIKey{}, news.Invalid("life", "must not be negative")
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	key := keyPrefix + base64.RawURLEncoding.EncodeToString(secret)
	k := news.APIKey{ID: uuid.Must(uuid.NewV7()).String(), Editor: e.Name, Scopes: scopes, Hash: web.HashKey(key),
		CreatedAt: now, ExpiresAt: keyExpiry(scopes, wish.Life, now)}
	if err := store.AddAPIKey(ctx, k, cmp.Or(wish.By, news.SystemName)); err != nil {
		return "", news.APIKey{}, fmt.Errorf("desk: add a key of %s: %w", e.Name, err)
	}
	return key, k, nil
}

// keyScopes are the scopes sorted and once each, if they exist and the role
// can have them.
func keyScopes(scopes []string, role news.Role) ([]string, error) {
	var faults news.Problems
	for i, s := range scopes {
		path := fmt.Sprintf("scopes/%d", i)
		switch {
		case !slices.Contains(news.Scopes(), s):
			faults.Add(path, "%q is no scope; there are %s", firstRunes(s, 40), strings.Join(news.Scopes(), " "))
		case !slices.Contains(RoleScopes(role), s):
			faults.Add(path, "a key of a %s can't have %s", role, s)
		}
	}
	if len(scopes) == 0 {
		faults.Add("scopes", "a key needs at least one scope, of %s", strings.Join(RoleScopes(role), " "))
	}
	sorted := slices.Clone(scopes)
	slices.Sort(sorted)
	return slices.Compact(sorted), faults.Err()
}

func keyExpiry(scopes []string, life time.Duration, now time.Time) time.Time {
	strong := slices.ContainsFunc(scopes, powerful)
	if strong && (life == 0 || life > powerfulKeyLife) {
		life = powerfulKeyLife
	}
	if life == 0 {
		return time.Time{}
	}
	return now.Add(life)
}
