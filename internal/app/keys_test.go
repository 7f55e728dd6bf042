package app

import (
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
