package app

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKeysAreMadeOnce: commands that start at the same moment on a new folder
// end up with the same keys.
func TestKeysAreMadeOnce(t *testing.T) {
	c := Config{Data: filepath.Join(t.TempDir(), "data")}
	got := make([]map[string]string, 8)
	errs := make([]error, len(got))
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			keys, err := LoadKeys(&c)
			got[i], errs[i] = keys.fingerprints(), err
			got[i]["admin"] = keys.Admin
		})
	}
	all.Wait()
	for i := range got {
		if diff := cmp.Diff(got[0], got[i]); errs[i] != nil || diff != "" {
			t.Errorf("%d: %v (-first +this):\n%s", i, errs[i], diff)
		}
	}
	files, err := os.ReadDir(c.Data)
	if err != nil || len(files) != len(keyFiles()) {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestKeysRefused(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"empty":    func(path string) error { return os.WriteFile(path, []byte(" \n"), 0o600) },
		"cut":      func(path string) error { return os.WriteFile(path, []byte("AAAA\n"), 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		c := Config{Data: t.TempDir()}
		path := filepath.Join(c.Data, "seal.key")
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeys(&c); err == nil || !strings.Contains(err.Error(), "DATELINE_SEAL_KEY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFreshKeysLoad: what `dateline keys` prints is a configuration.
func TestFreshKeysLoad(t *testing.T) {
	lines, err := FreshKeys()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(settings(append(strings.Split(strings.TrimSpace(lines), "\n"), "DATABASE_URL=postgres://db/x", "DATELINE_DATA="+t.TempDir())...))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := LoadKeys(&c)
	if err != nil || keys.Admin != c.AdminKey || keys.VAPID.Secret() != c.VAPIDKey {
		t.Errorf("%v", err)
	}
	if files, err := os.ReadDir(c.Data); err != nil || len(files) != 0 {
		t.Errorf("keys that are configured left %v, %v", files, err)
	}
}

// TestNoFreshKeyBesideADatabase: a key that the database was set up with is
// asked for, not replaced, and nothing is left in the folder that was not there.
func TestNoFreshKeyBesideADatabase(t *testing.T) {
	for name, c := range map[string]struct {
		remove []string
		says   []string
	}{
		"the seal key":  {[]string{"seal.key"}, []string{"seal.key is missing; the database in ", "restore it from the backup"}},
		"two of them":   {[]string{"vapid.key", "link.key"}, []string{"vapid.key is missing", "link.key is missing"}},
		"the admin key": {[]string{adminFile}, nil},
	} {
		cfg := Config{Data: t.TempDir()}
		if err := Migrate(t.Context(), &cfg, io.Discard); err != nil {
			t.Fatal(err)
		}
		for _, file := range c.remove {
			if err := os.Remove(filepath.Join(cfg.Data, file)); err != nil {
				t.Fatal(err)
			}
		}
		err := Migrate(t.Context(), &cfg, io.Discard)
		if (err == nil) != (c.says == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.says {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
		for _, file := range c.remove {
			if _, err := os.Stat(filepath.Join(cfg.Data, file)); (err == nil) != (file == adminFile) {
				t.Errorf("%s: %s afterwards: %v", name, file, err)
			}
		}
		var out strings.Builder
		e := &examination{cfg: &cfg, out: &out}
		if _, whole := e.keys(); whole != (c.says == nil) || !whole && !strings.Contains(out.String(), "MEND   keys") {
			t.Errorf("%s: the doctor says\n%s", name, &out)
		}
	}
}

// TestStrangeKeys: what was set by mistake is told from what is lost.
func TestStrangeKeys(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	if err := Migrate(t.Context(), &cfg, io.Discard); err != nil {
		t.Fatal(err)
	}
	other, err := fresh32()
	if err != nil {
		t.Fatal(err)
	}
	cfg.SealKey = other
	const way = "unset DATELINE_SEAL_KEY: the folder's seal.key fits"
	if err := Migrate(t.Context(), &cfg, io.Discard); err == nil || !strings.Contains(err.Error(), way) {
		t.Errorf("%v does not say %q", err, way)
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, "seal.key"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(t.Context(), &cfg, io.Discard); err == nil || strings.Contains(err.Error(), "unset") ||
		!strings.Contains(err.Error(), "DATELINE_SEAL_KEY") {
		t.Errorf("a file that does not fit either: %v", err)
	}
}
