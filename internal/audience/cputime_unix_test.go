//go:build unix

package audience_test

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what this process has used of processors: on a machine that others
// work on, too, a wall clock says how busy they are.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
