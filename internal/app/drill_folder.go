package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// scriptFolders is the pattern of the folders that scripted drills have where
	// temporary files are. One that is killed can't remove its own.
	scriptFolders = "dateline-drill-*"
	// unlockedFor is how old a folder without a lock must be to be nobody's: a
	// drill locks its own at once.
	unlockedFor = 24 * time.Hour
)

// scriptFolder makes a folder for a scripted drill and takes it for this
// process, having removed those whose process has ended.
func scriptFolder(parent string) (folder string, unlock func(), err error) {
	sweepFolders(parent)
	for range 3 {
		if folder, err = os.MkdirTemp(parent, scriptFolders); err != nil {
			break
		}
		// Between its making and its lock another drill that begins may take it
		// for one that was left, and remove it.
		if unlock, err = lockFolder(folder); err == nil {
			if _, err = os.Lstat(filepath.Join(folder, lockFile)); err == nil {
				return folder, unlock, nil
			}
			unlock()
		}
		_ = os.RemoveAll(folder)
	}
	return "", nil, fmt.Errorf("a folder for the drill: %w", err)
}

// sweepFolders removes what drills that were killed have left: folders of ours
// whose lock nobody holds. What can't be told from a living one's stays.
func sweepFolders(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, scriptFolders)) // the pattern is good
	for _, folder := range left {
		info, err := os.Lstat(folder)
		if err != nil || !info.IsDir() {
			continue
		}
		unlock, err := lockLeft(folder)
		switch {
		case err == nil:
			_ = os.RemoveAll(folder)
			unlock()
		case errors.Is(err, os.ErrNotExist) && time.Since(info.ModTime()) > unlockedFor:
			_ = os.RemoveAll(folder) // somebody else's stays: we may not
		}
	}
}
