//go:build !unix

package storetest

import "os/exec"

func prepare(cmd *exec.Cmd, dir string, _ *identity) { cmd.Dir = dir }

func detach(*exec.Cmd) {}
