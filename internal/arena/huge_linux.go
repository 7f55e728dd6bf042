package arena

import "golang.org/x/sys/unix"

// declineHugePages is advice; a kernel without such pages refuses it.
func declineHugePages(data []byte) { _ = unix.Madvise(data, unix.MADV_NOHUGEPAGE) }
