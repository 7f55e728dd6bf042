package mailtest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
)

// policy is what Postfix asks at every RCPT (SMTPD_POLICY_README): lines of
// name=value and an empty one, answered by an action and an empty line.
type policy struct {
	listener net.Listener
	greylist func(address string, asked int) bool
	done     sync.WaitGroup

	mu    sync.Mutex
	tries map[string]int
	conns map[net.Conn]bool
}

func startPolicy(greylist func(address string, asked int) bool) (*policy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &policy{listener: l, greylist: greylist, tries: map[string]int{}, conns: map[net.Conn]bool{}}
	p.done.Go(p.serve)
	return p, nil
}

func (p *policy) addr() string { return p.listener.Addr().String() }

func (p *policy) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.mu.Lock()
		p.conns[conn] = true
		p.mu.Unlock()
		p.done.Go(func() { p.talk(conn) })
	}
}

func (p *policy) talk(conn net.Conn) {
	defer conn.Close()
	recipient := ""
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "recipient="); ok {
			recipient = strings.ToLower(value)
		}
		if lines.Text() == "" {
			fmt.Fprintf(conn, "action=%s\n\n", p.action(recipient))
		}
	}
}

func (p *policy) action(recipient string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries[recipient]++
	if p.greylist(recipient, p.tries[recipient]) {
		return "450 4.2.0 greylisted, come back later"
	}
	return "DUNNO"
}

func (p *policy) asked(address string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tries[strings.ToLower(address)]
}

func (p *policy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.done.Wait()
}
