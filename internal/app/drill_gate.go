package app

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dateline/internal/dispatch"
	"dateline/internal/news"
	"dateline/internal/push"
)

// gate makes a drill's connections: to the listeners of its own push services,
// each known by address and port, and to nobody else. It looks no name up, so
// none can lead it elsewhere.
type gate struct {
	own     []string // 127.0.0.1:port
	dialler net.Dialer
	passed  atomic.Int64
	refused atomic.Int64
}

func newGate(own []string) *gate {
	return &gate{own: own, dialler: net.Dialer{Timeout: 5 * time.Second}}
}

var errGate = errors.New("a drill connects to its own simulated push services only")

func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" || !slices.Contains(g.own, address) {
		g.refused.Add(1)
		return nil, errGate
	}
	g.passed.Add(1)
	return g.dialler.DialContext(ctx, network, address)
}

// starts sends for the dispatcher and notes when each message was started: the
// instant in which its permit is given, before its first byte is handed over.
// A message that does not bear the drill's mark is not sent at all.
type starts struct {
	sender dispatch.Sender

	mu sync.Mutex
	of map[revisionOf][]time.Time
}

// revisionOf is one release, as messages name it.
type revisionOf struct {
	Alert    string
	Revision int
}

func newStarts() *starts { return &starts{of: map[revisionOf][]time.Time{}} }

// Send is the sender's.
func (s *starts) Send(ctx context.Context, to push.Target, m push.Message) news.Receipt {
	var said struct {
		Notification struct {
			Title string
			Data  revisionOf
		}
	}
	if json.Unmarshal(m.Payload, &said) != nil || !strings.HasPrefix(said.Notification.Title, drillMark) {
		return news.Receipt{Outcome: news.Refused, Reason: "not a drill's message"}
	}
	permit := m.Permit
	m.Permit = func() error {
		if permit != nil {
			if err := permit(); err != nil {
				return err
			}
		}
		s.note(said.Notification.Data, time.Now())
		return nil
	}
	return s.sender.Send(ctx, to, m)
}

func (s *starts) note(r revisionOf, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[r] = append(s.of[r], at)
}

// lastWithin is the last start of the revision after from and before to (zero:
// no end); zero when there was none.
func (s *starts) lastWithin(r revisionOf, from, to time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last time.Time
	for _, at := range s.of[r] {
		if at.After(from) && (to.IsZero() || at.Before(to)) && at.After(last) {
			last = at
		}
	}
	return last
}
