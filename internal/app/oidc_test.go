package app

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"dateline/internal/news"
)

// The provider is whole or absent, and every fault is told with the others.
func TestLoadProviders(t *testing.T) {
	const id, secret = "DATELINE_OIDC_CLIENT_ID=dateline", "DATELINE_OIDC_CLIENT_SECRET=s"
	for name, c := range map[string]struct {
		settings []string
		faults   []string // paths
	}{
		"none":              {nil, nil},
		"whole":             {[]string{"DATELINE_OIDC_ISSUER=https://id.example/realm", id, secret}, nil},
		"on this machine":   {[]string{"DATELINE_OIDC_ISSUER=http://127.0.0.1:5556/dex", id, secret}, nil},
		"without a secret":  {[]string{"DATELINE_OIDC_ISSUER=https://id.example", id}, []string{"DATELINE_OIDC_CLIENT_SECRET"}},
		"a secret alone":    {[]string{secret}, []string{"DATELINE_OIDC_CLIENT_ID", "DATELINE_OIDC_ISSUER"}},
		"over http":         {[]string{"DATELINE_OIDC_ISSUER=http://id.example", id, secret}, []string{"DATELINE_OIDC_ISSUER"}},
		"no address":        {[]string{"DATELINE_OIDC_ISSUER=id.example", id, secret, "DATELINE_HOLD=x"}, []string{"DATELINE_HOLD", "DATELINE_OIDC_ISSUER"}},
		"a desk of its own": {[]string{"DATELINE_DESK_LISTEN=:8081", "DATELINE_DESK_URL=https://desk.example/"}, nil},
		"a desk of none":    {[]string{"DATELINE_DESK_URL=https://desk.example"}, []string{"DATELINE_DESK_URL"}},
		"no desk's address": {[]string{"DATELINE_DESK_LISTEN=:8081", "DATELINE_DESK_URL=desk.example"}, []string{"DATELINE_DESK_URL"}},
	} {
		cfg, err := Load(settings(c.settings...))
		var paths []string
		var invalid *news.InvalidError
		if errors.As(err, &invalid) {
			for _, p := range invalid.Problems {
				paths = append(paths, p.Path)
			}
		}
		if !slices.Equal(paths, c.faults) {
			t.Errorf("%s: faults of %v, want %v (%v)", name, paths, c.faults, err)
		}
		if whole := slices.Contains(c.settings, id) && c.faults == nil; whole != (cfg.OIDC != nil) && c.faults == nil {
			t.Errorf("%s: %+v", name, cfg.OIDC)
		}
		if strings.HasSuffix(cfg.DeskURL, "/") {
			t.Errorf("%s: desk at %q", name, cfg.DeskURL)
		}
	}
}
