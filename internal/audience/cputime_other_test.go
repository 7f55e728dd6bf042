//go:build !unix

package audience_test

import "time"

var begun = time.Now()

// cpuTime is wall time where nothing better is known.
func cpuTime() time.Duration { return time.Since(begun) }
