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
	"time"

	"dateline/internal/simulate"
)

// benchServices are push services in a process of their own: what they cost is not
// the sender's.
type benchServices struct {
	Origins []string `json:"origins"`
	CA      string   `json:"ca"` // PEM

	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// benchTaken is what the services have been sent so far.
type benchTaken struct {
	Requests int64 `json:"requests"`
	Bytes    int64 `json:"bytes"`
}

// BenchServices are the services' process: it says where they are, and then, for
// each line it is sent, what they have taken. It ends with its input.
func BenchServices(sinks []simulate.SinkOptions, in io.Reader, out io.Writer) error {
	authority, err := simulate.NewAuthority()
	if err != nil {
		return err
	}
	said := benchServices{CA: string(authority.PEM())}
	var all []*simulate.Sink
	for _, o := range sinks {
		o.Authority = authority
		s, err := simulate.NewSink(o)
		if err != nil {
			return err
		}
		defer s.Close()
		all, said.Origins = append(all, s), append(said.Origins, s.Origin())
	}
	answer := json.NewEncoder(out)
	if err := answer.Encode(said); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var taken benchTaken
		for _, s := range all {
			n, bytes := s.Taken()
			taken.Requests, taken.Bytes = taken.Requests+n, taken.Bytes+bytes
		}
		if err := answer.Encode(taken); err != nil {
			return err
		}
	}
	return nil
}

// startBenchServices starts this program as the services of a bench.
func startBenchServices(ctx context.Context, sinks []simulate.SinkOptions) (*benchServices, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(sinks)
	if err != nil {
		return nil, err
	}
	s := &benchServices{cmd: exec.CommandContext(ctx, self, "bench", "services", string(text))}
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the simulated services: %w", err)
	}
	s.out = bufio.NewReader(out)
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

// taken asks what has come so far.
func (s *benchServices) taken() (t benchTaken, err error) {
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		return t, fmt.Errorf("the simulated services: %w", err)
	}
	err = s.read(&t)
	return t, err
}

func (s *benchServices) close() error {
	_ = s.in.Close()
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(5 * time.Second):
		return errors.Join(errors.New("the simulated services did not end"), s.cmd.Process.Kill())
	}
}
