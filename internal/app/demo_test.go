package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
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

// TestTimes: an alert that nobody was there to take has no times.
func TestTimes(t *testing.T) {
	now := time.Now()
	var none, one news.Timing
	one.Record(now, now.Add(20*time.Millisecond))
	if got := times(now, &none); got != "no phone was there to take it" {
		t.Errorf("none: %q", got)
	}
	if got := times(now, &one); !strings.HasPrefix(got, "first 20ms") {
		t.Errorf("one: %q", got)
	}
}

func TestDemoOptions(t *testing.T) {
	for name, c := range map[string]struct {
		o      DemoOptions
		listen string
		ok     bool
	}{
		"once":           {DemoOptions{Once: true}, "127.0.0.1:0", true},
		"stays up":       {DemoOptions{}, "127.0.0.1:8080", true},
		"asked for":      {DemoOptions{Once: true, Listen: "127.0.0.1:8081"}, "127.0.0.1:8081", true},
		"less than none": {DemoOptions{Devices: -1, Readers: -1}, "127.0.0.1:8080", false},
	} {
		if err := c.o.complete(); (err == nil) != c.ok || c.o.Listen != c.listen {
			t.Errorf("%s: %v, listens on %s", name, err, c.o.Listen)
		}
	}
}

func TestOtherPort(t *testing.T) {
	for _, c := range []struct {
		demo             bool
		flag, addr, want string
	}{
		{true, "--listen", "127.0.0.1:8080", "--listen 127.0.0.1:8081"},
		{false, "--listen", ":8080", "--listen :8081 (or DATELINE_X)"},
		{false, "", "127.0.0.1:8090", "DATELINE_X=127.0.0.1:8091"},
		{false, "", "127.0.0.1:65535", "DATELINE_X=127.0.0.1:65534"},
	} {
		a := &App{cfg: Config{demo: c.demo}}
		if got := a.otherPort("DATELINE_X", c.flag, c.addr); got != c.want {
			t.Errorf("%s: %q, want %q", c.addr, got, c.want)
		}
	}
}
