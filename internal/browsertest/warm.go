package browsertest

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// warm is what a Firefox works out at its first start on a new profile: a quarter
// of the start's CPU time. The first browser of the process that ends leaves it to
// those that start later. (State of the package: a profile is one test's.) Nothing
// of it is a page's or a person's: those have a profile of their own.
var warm struct {
	mu    sync.Mutex
	files map[string][]byte // by path in the profile
}

// keepWarm takes it from a profile whose browser has ended.
func keepWarm(profile string) {
	warm.mu.Lock()
	defer warm.mu.Unlock()
	if warm.files != nil {
		return
	}
	files := map[string][]byte{}
	for _, name := range []string{"startupCache", "compatibility.ini", "addonStartup.json.lz4", "extensions.json"} {
		err := filepath.WalkDir(filepath.Join(profile, name), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			inner, err := filepath.Rel(profile, path)
			if err != nil {
				return err
			}
			files[inner], err = os.ReadFile(path)
			return err
		})
		if err != nil { // another release may have other files: then starts are slower, and that is all
			return
		}
	}
	warm.files = files
}

// warmUp puts it into a new profile.
func warmUp(profile string) error {
	warm.mu.Lock()
	defer warm.mu.Unlock()
	for name, content := range warm.files {
		path := filepath.Join(profile, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
