package browsertest

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the browser when the test process is killed.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
