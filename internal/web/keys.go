package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"dateline/internal/news"
)

type personKey struct{}

// WithPerson says who asks.
func WithPerson(ctx context.Context, p news.Person) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// PersonFrom is who asks, as the key given with the request says. The zero
// Person may nothing.
func PersonFrom(ctx context.Context) news.Person {
	p, _ := ctx.Value(personKey{}).(news.Person)
	return p
}

// HashKey is what is kept of an API key: its hex SHA-256.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Bearer is the token of an Authorization header; "" when there is none.
func Bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// person finds out whose key came with the request.
func (f *Floor) person(r *http.Request) (news.Person, error) {
	key := Bearer(r)
	if key == "" {
		return news.Person{}, fmt.Errorf("%w: send your key as Authorization: Bearer KEY", news.ErrUnknownKey)
	}
	hash := HashKey(key)
	// Equal lengths whatever was sent, so the comparison tells nothing of the key.
	if f.config.AdminKey != "" && subtle.ConstantTimeCompare([]byte(hash), []byte(HashKey(f.config.AdminKey))) == 1 {
		return news.Person{Name: news.SystemName, Role: news.RoleChief, System: true, Scopes: news.Scopes()}, nil
	}
	if f.config.Keys == nil {
		return news.Person{}, news.ErrUnknownKey
	}
	person, err := f.config.Keys.APIKey(r.Context(), hash)
	switch {
	case errors.Is(err, news.ErrNotFound), errors.Is(err, news.ErrUnknownKey), errors.Is(err, news.ErrGone):
		return news.Person{}, fmt.Errorf("%w: it does not exist or has expired", news.ErrUnknownKey)
	case err != nil:
		return news.Person{}, fmt.Errorf("web.person: %w", err)
	}
	return person, nil
}
