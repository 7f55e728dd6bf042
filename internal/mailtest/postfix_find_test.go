package mailtest

import (
	"os/exec"
	"strings"
	"testing"
)

// TestFindPostfix: where it is not, or can't run, it is said how to mend that.
func TestFindPostfix(t *testing.T) {
	there := func(name string) (string, error) {
		if name == "/usr/sbin/postfix" {
			return name, nil
		}
		return "", exec.ErrNotFound
	}
	nowhere := func(string) (string, error) { return "", exec.ErrNotFound }
	for name, c := range map[string]struct {
		uid  int
		look func(string) (string, error)
		says string
	}{
		"root":      {0, there, ""},
		"a user":    {1000, there, "as root"},
		"not there": {0, nowhere, "apt-get install postfix"},
	} {
		binary, err := findPostfix(c.uid, c.look)
		if c.says == "" && (err != nil || binary != "/usr/sbin/postfix") || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %q, %v", name, binary, err)
		}
	}
}
