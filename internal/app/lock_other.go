//go:build !unix

package app

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockFolder makes the data folder. Where there is no flock the lock is a file
// that exists while a process runs; after a crash it has to be removed by hand.
func lockFolder(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder can't be made: %w", err)
	}
	path := filepath.Join(folder, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("another dateline uses the data folder (or one crashed: then remove %s): %w", path, err)
	}
	f.Close()
	return func() { _ = os.Remove(path) }, nil
}

// lockLeft takes no folder: without flock a lock that was left looks like one
// that is held.
func lockLeft(folder string) (unlock func(), err error) {
	return nil, fmt.Errorf("%s may be in use", folder)
}
