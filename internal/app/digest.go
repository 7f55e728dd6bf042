package app

import (
	"context"
	"net/http"
)

type digestPart interface {
	Run(ctx context.Context) error
	Routes(mux *http.ServeMux)
}

type noDigest struct{}

func (noDigest) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (noDigest) Routes(*http.ServeMux)         {}

func newDigest(*App) (digestPart, error) { return noDigest{}, nil }
