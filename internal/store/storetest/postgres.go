package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dateline/internal/store"
)

// shared is the test binary's only server. (State of the package: the server
// lives as long as the process, which no single test does.)
var shared = sync.OnceValues(startServer)

// server is a running Postgres.
type server struct {
	dir   string // its socket and data
	admin *sql.DB
	alive io.Closer     // the cleaner's input: held open for as long as we live
	ready chan database // made ahead: a copy of the template takes 0.3 s
}

const template = "dateline_template"

func (s *server) url(database string) string {
	q := url.Values{"host": {s.dir}, "sslmode": {"disable"}, "user": {"postgres"}}
	return "postgres:///" + database + "?" + q.Encode()
}

// database is a fresh copy of the template, or why there is none.
type database struct {
	name string
	err  error
}

// makeDatabases keeps one database ready, for as long as the process lives.
func (s *server) makeDatabases() {
	for n := 1; ; n++ {
		name := fmt.Sprintf("test_%d", n)
		_, err := s.admin.Exec("CREATE DATABASE " + name + " TEMPLATE " + template)
		s.ready <- database{name, err}
	}
}

func (s *server) dropDatabase(name string) error {
	_, err := s.admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
	return err
}

// startServer initialises a cluster, starts it, and migrates the template
// that every test's database is copied from.
func startServer() (*server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	id, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(shortTemp(), "dateline-pg-")
	if err != nil {
		return nil, err
	}
	if id != nil {
		if err := os.Chown(dir, int(id.uid), int(id.gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	s := &server{dir: dir, ready: make(chan database)}
	if err := s.start(bin, id); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go s.makeDatabases()
	return s, nil
}

func (s *server) start(bin string, id *identity) error {
	data := filepath.Join(s.dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--pgdata="+data, "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	prepare(initdb, s.dir, id)
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(out))
	}
	// No TCP port. fsync off: these databases die with the test.
	postgres := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB",
		"-c", "autovacuum=off", "-c", "log_min_messages=fatal")
	prepare(postgres, s.dir, id)
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	postgres.Stdout, postgres.Stderr = log, log
	ended := make(chan error, 1)
	if err := launch(postgres, ended); err != nil {
		return err
	}
	if err := s.cleaner(postgres.Process.Pid); err != nil {
		return err
	}
	return s.connect(ended)
}

// launch starts the server from a thread that lives as long as the process:
// the parent's death signal is bound to the thread that forked.
func launch(cmd *exec.Cmd, ended chan<- error) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return <-started
}

// cleaner removes the folder once this process is gone and the server after
// it: a shell that waits for the end of its input, which only we hold open.
func (s *server) cleaner(pid int) error {
	sh := exec.Command("sh", "-c", `read x; kill -QUIT "$1" 2>/dev/null; i=0
while [ -e "$2/data/postmaster.pid" ] && [ $i -lt 50 ]; do i=$((i+1)); sleep 0.1; done; rm -rf -- "$2"`,
		"sh", strconv.Itoa(pid), s.dir)
	detach(sh)
	var err error
	if s.alive, err = sh.StdinPipe(); err != nil {
		return err
	}
	return sh.Start()
}

// connect waits for the server and makes the template.
func (s *server) connect(ended <-chan error) error {
	admin, err := sql.Open("postgres", s.url("postgres"))
	if err != nil {
		return err
	}
	admin.SetMaxOpenConns(2)
	s.admin = admin
	deadline, tick := time.After(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for admin.Ping() != nil {
		select {
		case err := <-ended:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("postgres ended: %w: %s", err, lastLine(log))
		case <-deadline:
			return errors.New("postgres did not answer within 30 s")
		case <-tick.C:
		}
	}
	if _, err := admin.Exec("CREATE DATABASE " + template); err != nil {
		return err
	}
	ctx := context.Background()
	st, err := store.Open(ctx, store.Config{URL: s.url(template), SealKey: SealKey()})
	if err != nil {
		return err
	}
	return errors.Join(st.Migrate(ctx), st.Close()) // nobody may be connected to a template
}

// shortTemp is /tmp where there is one: the path of a socket has 107 bytes at
// most (103 on a Mac, whose own TMPDIR is long), and who Postgres runs as must
// be able to walk it.
func shortTemp() string {
	if info, err := os.Stat("/tmp"); err == nil && info.IsDir() {
		return "/tmp"
	}
	return ""
}

// findBinaries looks where Debian, Homebrew and Postgres.app put them.
func findBinaries() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.Reverse(found) // the newest first
		dirs = append(dirs, found...)
	}
	for _, dir := range dirs {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errors.New("no Postgres binaries (initdb, postgres) in PATH or /usr/lib/postgresql/*/bin")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// identity is who the server runs as.
type identity struct{ uid, gid uint32 }

// unprivileged is nil for an ordinary user; root becomes postgres or nobody,
// because Postgres refuses to run as root.
func unprivileged() (*identity, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		return &identity{uid: uint32(uid), gid: uint32(gid)}, err
	}
	return nil, errors.New("run as root, and there is neither a user postgres nor nobody to run Postgres as")
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
