package mailtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Fate is what becomes of the mail for a domain.
type Fate string

// The fates.
const (
	Delivered Fate = "delivered" // handed on to PostfixOptions.Deliver
	Refused   Fate = "refused"   // 550 5.1.1 at RCPT
	Greylist  Fate = "greylist"  // 450 4.2.0 at an address's first RCPT, then delivered
	Unknown   Fate = "unknown"   // taken; then Postfix finds no such user and reports 5.1.1
	Full      Fate = "full"      // taken; then Postfix finds the mailbox full and reports 5.2.2
)

// PostfixOptions are what a Postfix is to do.
type PostfixOptions struct {
	// Domains it takes mail for. Mail for others is refused (554 5.7.1), whoever
	// sends it.
	Domains map[string]Fate
	// Deliver is the host:port of an SMTP server that gets what is delivered, one
	// recipient at a time (a simulate.MailServer).
	Deliver string
	// Routes is where mail for further domains goes, host:port: the reports that
	// Postfix makes to the envelope's sender. It takes no such mail from others.
	Routes map[string]string
	// Main are further lines of main.cf, the last word. Without any, all that a
	// client meets is as Debian ships it: 20 errors end a session, say (smtpd_hard_error_limit).
	Main map[string]string
}

// Postfix is a running Postfix of the test's own.
type Postfix struct {
	tb      testing.TB
	options PostfixOptions
	binary  string
	dir     string
	addr    string
	policy  *policy
	end     func() error // of Postfix and its keeper
}

// StartPostfix runs Debian's Postfix in a temporary folder, on a port of its own
// on loopback, until the test ends. It shares nothing with a Postfix of the
// machine but the programs, and takes no name service and no syslog. Its master
// has to be root. Where that can't be the test is skipped as NOT RUN, or fails
// where CI is set.
func StartPostfix(tb testing.TB, o PostfixOptions) *Postfix {
	tb.Helper()
	p := &Postfix{tb: tb, options: o, binary: installedPostfix(tb)}
	var err error
	// /tmp: the paths of its sockets have 107 bytes at most, and the user that it
	// runs as must be able to walk there.
	if p.dir, err = os.MkdirTemp("/tmp", "dateline-postfix-"); err != nil {
		tb.Fatalf("mailtest: folder: %v", err)
	}
	tb.Cleanup(p.stop)
	if p.policy, err = startPolicy(p.greylisted); err != nil {
		tb.Fatalf("mailtest: policy service: %v", err)
	}
	if p.addr, err = freeAddr(); err != nil {
		tb.Fatalf("mailtest: port: %v", err)
	}
	if err := p.writeFiles(); err != nil {
		tb.Fatalf("mailtest: set Postfix up: %v", err)
	}
	if err := p.start(); err != nil {
		tb.Fatalf("mailtest: start Postfix: %v", err)
	}
	return p
}

// installedPostfix is the binary, where it can be run.
func installedPostfix(tb testing.TB) string {
	tb.Helper()
	binary, err := findPostfix(os.Geteuid(), exec.LookPath)
	switch {
	case err != nil && os.Getenv("CI") != "":
		tb.Fatalf("mailtest: %v; where CI is set Postfix must be there", err)
	case err != nil:
		tb.Skipf("NOT RUN: %v", err)
	}
	return binary
}

func findPostfix(uid int, look func(string) (string, error)) (string, error) {
	binary, err := look("postfix")
	if err != nil {
		binary, err = look("/usr/sbin/postfix") // not on everybody's path
	}
	switch {
	case err != nil:
		return "", errors.New("no postfix found (apt-get install postfix)")
	case uid != 0:
		return "", errors.New("the master of Postfix has to be root: run the test as root")
	}
	return binary, nil
}

// freeAddr is a port below those that the kernel gives away, so that no client's
// own port is in Postfix's way.
func freeAddr() (string, error) {
	var l net.Listener
	var err error
	for range 100 {
		l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000))))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

func (p *Postfix) path(name string) string { return filepath.Join(p.dir, name) }

// keeper starts Postfix, waits for the end of its input, which only we hold
// open, and ends it: a test that dies leaves no mail server behind, and one that
// dies while Postfix starts has it ended after that.
const keeper = `trap "" INT HUP PIPE
"$1" -c "$2/etc" start >"$2/start.log" 2>&1
echo $?
read end
[ -e "$2/queue/pid/master.pid" ] && "$1" -c "$2/etc" stop >/dev/null 2>&1
rm -rf -- "$2"`

// start returns when Postfix listens.
func (p *Postfix) start() error {
	sh := exec.Command("sh", "-c", keeper, "sh", p.binary, p.dir)
	sh.Dir, sh.Env = p.dir, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	in, err := sh.StdinPipe()
	if err != nil {
		return err
	}
	out, err := sh.StdoutPipe()
	if err != nil {
		return err
	}
	if err := sh.Start(); err != nil {
		return err
	}
	p.end = func() error { return errors.Join(in.Close(), sh.Wait()) }
	status, err := bufio.NewReader(out).ReadString('\n')
	if err == nil && status != "0\n" {
		said, _ := os.ReadFile(p.path("start.log"))
		err = fmt.Errorf("postfix start: %s%s%s", status, said, p.Log())
	}
	return err
}

func (p *Postfix) stop() {
	if p.tb.Failed() {
		p.tb.Logf("mailtest: Postfix's log:\n%s", p.Log())
	}
	if p.end != nil {
		if err := p.end(); err != nil {
			p.tb.Errorf("mailtest: end Postfix: %v", err)
		}
	}
	if p.policy != nil {
		p.policy.close()
	}
	if err := os.RemoveAll(p.dir); err != nil {
		p.tb.Errorf("mailtest: remove Postfix's folder: %v", err)
	}
}

// Addr is where it takes mail, host:port.
func (p *Postfix) Addr() string { return p.addr }

// URL is what SMTP_URL would be.
func (p *Postfix) URL() string { return "smtp://" + p.addr }

// Asked counts the RCPTs for an address, whatever they were answered.
func (p *Postfix) Asked(address string) int { return p.policy.asked(address) }

// Log is what Postfix has said so far.
func (p *Postfix) Log() string {
	log, err := os.ReadFile(p.path("mail.log"))
	if err != nil {
		return err.Error()
	}
	return string(log)
}

// WaitEmpty waits until every mail and every report has met its end: the queue
// is empty.
func (p *Postfix) WaitEmpty(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(p.binary), "postqueue"), "-c", p.path("etc"), "-j")
		out, err := cmd.Output()
		if err == nil && len(bytes.TrimSpace(out)) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("mailtest: Postfix still has mails to deliver: %w\n%s", errors.Join(ctx.Err(), err), out)
		}
	}
}

// greylisted reports whether an address is asked to come back.
func (p *Postfix) greylisted(address string, asked int) bool {
	_, domain, _ := strings.Cut(address, "@")
	return asked == 1 && p.options.Domains[domain] == Greylist
}
