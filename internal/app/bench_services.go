package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"dateline/internal/simulate"
)

// BenchPlan is what a bench's process of services is to be.
type BenchPlan struct {
	Sinks []simulate.SinkOptions `json:"sinks,omitempty"` // push services
	Mail  bool                   `json:"mail,omitempty"`  // a mail server
}

// benchServices are services and clients in a process of their own: what they
// cost is not the sender's.
type benchServices struct {
	Origins []string `json:"origins"`
	CA      string   `json:"ca"`   // PEM
	Mail    string   `json:"mail"` // SMTP_URL

	in   io.WriteCloser
	out  *bufio.Reader
	wait func() error // until they have ended
	kill func() error
}

// benchTaken is what the services have been sent so far.
type benchTaken struct {
	Requests int64       `json:"requests"`
	Bytes    int64       `json:"bytes"`
	Mails    int         `json:"mails"`
	Reached  []time.Time `json:"reached"` // of each push service, what it expected; zero: not yet
	Fault    string      `json:"fault,omitempty"`
}

// benchSide is that process, from the inside.
type benchSide struct {
	sinks []*simulate.Sink
	mail  *simulate.MailServer
	crowd crowdMemory
}

// BenchServices are the services' process. It says where they are, and answers
// each line that it is sent with one of JSON: an empty one with what they have
// taken; "well", "hang 2" and "throttle 3" change what all, or one of the push
// services, do; "expect 990" makes each note when it has accepted 990 from now on;
// "load {…}" makes it ask the program as many clients would. It ends with its
// input.
func BenchServices(plan BenchPlan, in io.Reader, out io.Writer) error {
	side, said, err := newBenchSide(plan)
	defer side.close()
	if err != nil {
		return err
	}
	answer := json.NewEncoder(out)
	if err := answer.Encode(said); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	lines := make(chan string)
	go func() { // beside what a line makes it do, so that the end of the input ends that, too
		defer close(lines)
		defer stop()
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for line := range lines {
		if err := answer.Encode(side.obey(ctx, line)); err != nil {
			return err
		}
	}
	return nil
}

func newBenchSide(plan BenchPlan) (side *benchSide, said benchServices, err error) {
	side = &benchSide{}
	authority, err := simulate.NewAuthority()
	if err != nil {
		return side, said, err
	}
	said.CA = string(authority.PEM())
	for _, o := range plan.Sinks {
		o.Authority = authority
		s, err := simulate.NewSink(o)
		if err != nil {
			return side, said, err
		}
		side.sinks, said.Origins = append(side.sinks, s), append(said.Origins, s.Origin())
	}
	if !plan.Mail {
		return side, said, nil
	}
	if side.mail, err = simulate.NewMailServer(simulate.MailOptions{Keep: 1}); err != nil {
		return side, said, err
	}
	said.Mail = side.mail.URL()
	return side, said, nil
}

func (s *benchSide) close() {
	for _, sink := range s.sinks {
		sink.Close()
	}
	if s.mail != nil {
		_ = s.mail.Close() // its connections end with the process anyway
	}
}

// obey does what a line says and gives the answer.
func (s *benchSide) obey(ctx context.Context, line string) any {
	word, rest, _ := strings.Cut(line, " ")
	if word == "load" {
		return s.crowd.load(ctx, rest)
	}
	if err := s.behave(word, rest); err != nil {
		return benchTaken{Fault: err.Error()}
	}
	return s.taken()
}

func (s *benchSide) behave(word, rest string) error {
	if word == "" {
		return nil
	}
	if word == "well" {
		for _, sink := range s.sinks {
			sink.Behave(false, false)
		}
		return nil
	}
	n, err := strconv.Atoi(rest)
	switch {
	case err != nil || n < 0:
		return fmt.Errorf("%s %q: not a number", word, rest)
	case word == "expect":
		for _, sink := range s.sinks {
			sink.Expect(int64(n))
		}
	case n >= len(s.sinks):
		return fmt.Errorf("%s %d: there are %d push services", word, n, len(s.sinks))
	case word == "hang", word == "throttle":
		s.sinks[n].Behave(word == "throttle", word == "hang")
	default:
		return fmt.Errorf("%q is not understood", word)
	}
	return nil
}

func (s *benchSide) taken() (t benchTaken) {
	for _, sink := range s.sinks {
		n, bytes := sink.Taken()
		t.Requests, t.Bytes = t.Requests+n, t.Bytes+bytes
		t.Reached = append(t.Reached, sink.Reached())
	}
	if s.mail != nil {
		t.Mails = s.mail.Taken()
	}
	return t
}

// startBenchServices starts this program as the services of a bench.
func startBenchServices(plan BenchPlan) (*benchServices, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "bench", "services", string(text)) //nolint:gosec,noctx // ourselves; it ends with its input, which we hold
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the simulated services: %w", err)
	}
	return newBenchServices(in, out, cmd.Wait, cmd.Process.Kill)
}

// newBenchServices reads where they are.
func newBenchServices(in io.WriteCloser, out io.Reader, wait, kill func() error) (*benchServices, error) {
	s := &benchServices{in: in, out: bufio.NewReader(out), wait: wait, kill: kill}
	if err := s.read(s); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *benchServices) read(to any) error {
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the simulated services: %w", err)
	}
	return json.Unmarshal(line, to)
}

// ask sends a line and reads the answer. The end of ctx ends the services.
func (s *benchServices) ask(ctx context.Context, line string, answer any) error {
	defer context.AfterFunc(ctx, func() { _ = s.in.Close() })()
	_, err := io.WriteString(s.in, line+"\n")
	if err == nil {
		err = s.read(answer)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("the simulated services: %w", err)
	}
	return nil
}

// tell changes what they do and gives what has come so far; "": that alone.
func (s *benchServices) tell(ctx context.Context, line string) (t benchTaken, err error) {
	if err := s.ask(ctx, line, &t); err != nil {
		return t, err
	}
	if t.Fault != "" {
		return t, fmt.Errorf("the simulated services: %s", t.Fault)
	}
	return t, nil
}

func (s *benchServices) close() error {
	_ = s.in.Close() // closed already when it was told to stop
	ended := make(chan error, 1)
	go func() { ended <- s.wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(5 * time.Second):
		return errors.Join(errors.New("the simulated services did not end"), s.kill())
	}
}
