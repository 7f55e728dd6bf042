package app

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Progress shows how far long work is: one line that is rewritten on a
// terminal, plain lines, seldom, where the output is piped. A nil Progress
// shows nothing.
type Progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	what     string
	last     time.Time
	shown    bool // a rewritten line is on the screen
}

// NewProgress shows progress of `what` on out.
func NewProgress(out io.Writer, what string) *Progress {
	f, ok := out.(*os.File)
	p := &Progress{out: out, what: what, terminal: ok && term.IsTerminal(int(f.Fd()))}
	if !p.terminal {
		p.last = time.Now() // what is done within seconds needs no line
	}
	return p
}

// Next goes on with other work.
func (p *Progress) Next(what string) {
	if p == nil {
		return
	}
	p.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
}

// Set says that done of total is done; total 0 is unknown.
func (p *Progress) Set(done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	every := 5 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	finished := total > 0 && done >= total
	if time.Since(p.last) < every && (!finished || !p.terminal) {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf("%s: %d", p.what, done)
	if total > 0 {
		share := min(1, float64(done)/float64(total))
		text = fmt.Sprintf("%s: %3.0f %%", p.what, share*100)
		if p.terminal {
			width := 30
			full := int(share * float64(width))
			text = fmt.Sprintf("%s [%s%s] %3.0f %%", p.what, strings.Repeat("█", full), strings.Repeat("·", width-full), share*100)
		}
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", text)
		p.shown = true
		return
	}
	fmt.Fprintln(p.out, text)
}

// Line prints a line above the progress.
func (p *Progress) Line(text string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, text)
}

// Done takes the progress line away.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *Progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
