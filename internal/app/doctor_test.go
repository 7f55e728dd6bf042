package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDoctorChangesNothing: on a folder that is not there yet it makes none,
// and finds nothing that a first start would not mend.
func TestDoctorChangesNothing(t *testing.T) {
	c, err := Load(settings("DATELINE_DATA=" + filepath.Join(t.TempDir(), "data")))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Doctor(t.Context(), c, nil, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if _, err := os.Stat(c.Data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data folder was made: %v", err)
	}
	if !strings.Contains(out.String(), "keys") || strings.Contains(out.String(), "MEND") {
		t.Error(out.String())
	}
}

// TestDoctorNamesReadableKeys: a key that others can read is theirs, too.
func TestDoctorNamesReadableKeys(t *testing.T) {
	c, err := Load(settings("DATELINE_DATA=" + t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Data, "link.key")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Doctor(t.Context(), c, nil, &out); err == nil || !strings.Contains(out.String(), "chmod 600 "+path) {
		t.Errorf("%v\n%s", err, &out)
	}
}
