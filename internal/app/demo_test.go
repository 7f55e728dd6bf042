package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestDemoFolder: a demo empties its own folder, also one that it was killed
// over, and nobody else's.
func TestDemoFolder(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		ok    bool
	}{
		"absent":                      {nil, true},
		"a demo's":                    {[]string{demoMark, lockFile, "dateline.db", "old"}, true},
		"killed before it was marked": {[]string{lockFile}, true},
		"somebody's":                  {[]string{"thesis.txt"}, false},
		"a real one":                  {[]string{lockFile, "dateline.db", "seal.key"}, false},
	} {
		folder := filepath.Join(t.TempDir(), "data")
		for _, f := range c.files {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, f), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, remove, err := demoFolder(DemoOptions{Folder: folder})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			remove()
		}
		left, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		want := len(c.files)
		if c.ok {
			want = 2 // the mark and the lock
		}
		if len(left) != want {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

// TestDemoEndsWithItsProgram: a part that fails ends the show with its reason,
// and not two minutes later for want of an answer.
func TestDemoEndsWithItsProgram(t *testing.T) {
	broken := errors.New("dispatch ended: no space left")
	waits := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	runs := func(ctx context.Context) error { <-ctx.Done(); return nil }
	for name, c := range map[string]struct {
		program, show func(context.Context) error
		want          error
	}{
		"the program fails":  {func(context.Context) error { return broken }, waits, broken},
		"the show fails":     {runs, func(context.Context) error { return broken }, broken},
		"the show ends well": {runs, func(context.Context) error { return nil }, nil},
	} {
		if err := alongside(t.Context(), c.program, c.show); !errors.Is(err, c.want) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := alongside(ctx, runs, waits); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
