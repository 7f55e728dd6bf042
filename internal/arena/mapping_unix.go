//go:build unix

package arena

import "golang.org/x/sys/unix"

// mapping is anonymous memory. Pages of 2 MB are declined: a cell of a small
// newsroom touches a few KB of a block, and each would take 2 MB.
func mapping(size int) ([]byte, error) {
	data, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		declineHugePages(data)
	}
	return data, err
}

// unmap can only fail for memory that mapping did not give.
func unmap(data []byte) { _ = unix.Munmap(data) }
