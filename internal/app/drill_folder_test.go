//go:build unix

package app

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// What a killed drill has left goes with the next one's start; a living one's
// stays, and so does whatever is not a drill's or can't be told.
func TestFoldersOfKilledDrillsAreSwept(t *testing.T) {
	parent := t.TempDir()
	living, unlock, err := scriptFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	folder := func(name string, locked bool, age time.Duration) string {
		path := filepath.Join(parent, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if locked {
			if err := os.WriteFile(filepath.Join(path, lockFile), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	elsewhere := folder("elsewhere", true, 48*time.Hour)
	link := filepath.Join(parent, "dateline-drill-link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{living: true, elsewhere: true, link: true,
		folder("dateline-drill-killed", true, 0):              false,
		folder("dateline-drill-begins", false, time.Minute):   true,
		folder("dateline-drill-before", false, 2*unlockedFor): false,
		folder("dateline-newsroom", true, 2*unlockedFor):      true,
		filepath.Join(elsewhere, lockFile):                    true,
		filepath.Join(living, lockFile):                       true,
	}
	next, unlockNext, err := scriptFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer unlockNext()
	want[next] = true
	for path, stays := range want {
		if _, err := os.Lstat(path); (err == nil) != stays {
			t.Errorf("%s: stays %v, want %v", filepath.Base(path), err == nil, stays)
		}
	}
}

// Many drills that begin at once have a folder each, and none removes another's.
func TestDrillsThatBeginAtOnceKeepTheirFolders(t *testing.T) {
	parent := t.TempDir()
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			folder, unlock, err := scriptFolder(parent)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			sweepFolders(parent)
			if _, err := os.Stat(filepath.Join(folder, lockFile)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
