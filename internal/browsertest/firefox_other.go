//go:build !linux

package browsertest

import "os/exec"

// dieWithParent needs Linux; elsewhere a killed test leaves its browser behind.
func dieWithParent(*exec.Cmd) {}
