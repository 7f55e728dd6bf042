//go:build unix

package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder makes the data folder and takes it for this process alone. The
// kernel gives the lock up when the process ends, however it ends.
func lockFolder(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder can't be made: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder can't be locked: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another dateline uses the data folder %s; stop it, or choose another folder with --data (or DATELINE_DATA)", folder)
		}
		return nil, fmt.Errorf("the data folder can't be locked: %w", err)
	}
	return func() { f.Close() }, nil
}

// lockLeft takes a folder that a process has locked once, and whose lock nobody
// holds; os.ErrNotExist where none ever did.
func lockLeft(folder string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
