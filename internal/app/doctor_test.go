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

// doctorSays runs Doctor's checks but for those that look names up.
func doctorSays(t *testing.T, environ ...string) string {
	t.Helper()
	c, err := Load(settings(append(environ, "DATELINE_DATA="+t.TempDir())...))
	var out strings.Builder
	e := &examination{cfg: &c, out: &out}
	e.configuration(err)
	if keys, whole := e.keys(); whole {
		e.database(t.Context(), keys)
	}
	e.nats(t.Context())
	return out.String()
}

// TestDoctorLooksAtTheDatabaseBeforeTheFirstStart: the admin key is made by the
// first start and is no reason not to look.
func TestDoctorLooksAtTheDatabaseBeforeTheFirstStart(t *testing.T) {
	fresh, err := FreshKeys()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(fresh), "\n")
	environ := append(lines[:3:3], "DATABASE_URL=postgres://u:p@127.0.0.1:1/x?sslmode=disable")
	if out := doctorSays(t, environ...); !strings.Contains(out, "MEND   database") || strings.Contains(out, "u:p@") {
		t.Errorf("a database that is not there:\n%s", out)
	}
}

// TestDoctorKnowsWhereKeysComeFrom: with DATABASE_URL no start makes them.
func TestDoctorKnowsWhereKeysComeFrom(t *testing.T) {
	out := doctorSays(t, "DATABASE_URL=postgres://u:p@127.0.0.1:1/x?sslmode=disable")
	if !strings.Contains(out, "DATELINE_SEAL_KEY is required") || strings.Contains(out, "4 of 4") {
		t.Error(out)
	}
}

// TestDoctorNamesAFaultOnce, and goes on without the setting: an unreadable URL
// quoted by a library would show its password.
func TestDoctorNamesAFaultOnce(t *testing.T) {
	out := doctorSays(t, "NATS_URL=nats://u:hunter2%zz@127.0.0.1:1")
	if strings.Count(out, "NATS") != 1 || strings.Contains(out, "hunter2") {
		t.Error(out)
	}
}

// TestDoctorKnowsADeadServe: after kill -9 the address of its NATS is left.
func TestDoctorKnowsADeadServe(t *testing.T) {
	c := Config{Data: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.Data, "nats.url"), []byte("nats://127.0.0.1:1"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	e := &examination{cfg: &c, out: &out}
	e.nats(t.Context())
	if e.bad != 0 || !strings.Contains(out.String(), "not running on "+c.Data) {
		t.Error(out.String())
	}
	err := Publish(t.Context(), &c, nil, nil, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "dateline serve") {
		t.Errorf("publish says %v", err)
	}
}
