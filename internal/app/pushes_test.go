package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"dateline/internal/simulate"
)

// pushesRole makes the test binary a push service in a process of its own,
// asked over its stdin and stdout. It ends with whoever started it.
const pushesRole = "DATELINE_TEST_PUSHES"

// servePushes is that process.
func servePushes() error {
	p := &Pushes{goal: -1, index: map[*simulate.Phone]int32{}}
	var err error
	p.service, err = simulate.NewPushService(simulate.PushOptions{Unread: true, OnArrival: p.arrived})
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.Register(p); err != nil {
		return err
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout})
	return nil
}

// pipes are both directions of a conversation with a child.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }

// Pushes is what can be asked of the process. (Exported, and its methods of
// this form, because net/rpc wants it so.)
type Pushes struct {
	service *simulate.PushService
	index   map[*simulate.Phone]int32

	mu       sync.Mutex
	arrivals []simulate.Arrival
	goal     int // arrivals that somebody waits for; -1: nobody does
	reached  chan struct{}
}

// PushesPhones asks for phones, and for import files of at most PerFile of
// their subscriptions in a folder.
type PushesPhones struct {
	Phones, PerFile int
	Folder          string
}

// PushesMade says how to reach them.
type PushesMade struct {
	Origin string
	CA     []byte
	Files  []string
}

// Message is one request that came in whole.
type Message struct {
	At       time.Time
	Phone    int32 // from 0, in the order they were made
	Revision int32
	Alert    string
}

func (p *Pushes) arrived(a simulate.Arrival) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrivals = append(p.arrivals, a)
	if p.goal >= 0 && len(p.arrivals) >= p.goal {
		p.goal = -1
		close(p.reached)
	}
}

// Make makes the phones.
func (p *Pushes) Make(want PushesPhones, made *PushesMade) error {
	list, err := p.service.NewPhones(want.Phones)
	if err != nil {
		return err
	}
	made.Origin, made.CA = p.service.Origin(), p.service.CAPEM()
	for i, phone := range list {
		p.index[phone] = int32(i)
	}
	for some := range slices.Chunk(list, want.PerFile) {
		path := filepath.Join(want.Folder, fmt.Sprintf("devices-%d.jsonl", len(made.Files)))
		if err := writeSubscriptions(path, some); err != nil {
			return err
		}
		made.Files = append(made.Files, path)
	}
	return nil
}

func writeSubscriptions(path string, list []*simulate.Phone) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	encode := json.NewEncoder(file)
	for _, phone := range list {
		if err := encode.Encode(subscription(phone, "JP")); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}

// Rate sets the pace of the answers.
func (p *Pushes) Rate(perSecond float64, _ *struct{}) error {
	p.service.SetRate(perSecond)
	return nil
}

// Await returns once so many messages have come in since the last Take.
func (p *Pushes) Await(n int, _ *struct{}) error {
	p.mu.Lock()
	reached := make(chan struct{})
	if len(p.arrivals) >= n {
		close(reached)
	} else {
		p.goal, p.reached = n, reached
	}
	p.mu.Unlock()
	select {
	case <-reached:
		return nil
	case <-time.After(5 * time.Minute):
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Errorf("%d messages after 5 minutes, %d awaited", len(p.arrivals), n)
	}
}

// Take hands over what has come in, in that order, and forgets it.
func (p *Pushes) Take(_ struct{}, got *[]Message) error {
	p.mu.Lock()
	arrivals := p.arrivals
	p.arrivals = nil
	p.mu.Unlock()
	*got = make([]Message, len(arrivals))
	var group errgroup.Group
	group.SetLimit(4)
	for i, a := range arrivals {
		group.Go(func() error {
			n, err := a.Phone.Open(a.Body)
			(*got)[i] = Message{At: a.At, Phone: p.index[a.Phone], Revision: int32(n.Revision), Alert: n.Alert}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.SortStableFunc(*got, func(x, y Message) int { return x.At.Compare(y.At) })
	return nil
}

// pushes is the other end: a push service in another process.
type pushes struct {
	t      *testing.T
	client *rpc.Client
	pid    int
	made   PushesMade
}

// startPushes starts the process and makes n phones there.
func startPushes(t *testing.T, n int) *pushes {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(cleanEnv(), pushesRole+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &pushes{t: t, client: rpc.NewClient(pipes{out, in}), pid: cmd.Process.Pid}
	t.Cleanup(func() {
		_ = p.client.Close() // the end of its stdin is the end of it
		_ = cmd.Wait()
	})
	p.ask("Make", PushesPhones{Phones: n, PerFile: 50_000, Folder: t.TempDir()}, &p.made)
	return p
}

func (p *pushes) ask(what string, question, answer any) {
	p.t.Helper()
	if err := p.client.Call("Pushes."+what, question, answer); err != nil {
		p.t.Fatalf("the push service: %s: %v", what, err)
	}
}

func (p *pushes) rate(perSecond float64) { p.t.Helper(); p.ask("Rate", perSecond, &struct{}{}) }

func (p *pushes) await(n int) { p.t.Helper(); p.ask("Await", n, &struct{}{}) }

func (p *pushes) take() (got []Message) {
	p.t.Helper()
	p.ask("Take", struct{}{}, &got)
	return got
}

// settings are a program's that sends there.
func (p *pushes) settings() []string {
	p.t.Helper()
	ca := filepath.Join(p.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, p.made.CA, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return []string{"DATELINE_PUSH_ORIGINS=" + p.made.Origin, "DATELINE_PUSH_CA=" + ca}
}
