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

// starts stands between the dispatcher and the sender and notes when each message
// was started: the instant in which its gate opens, before its first byte is handed
// over. A message that does not bear the drill's mark is not sent at all.
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

// Reserve is the sender's, with its room watched.
func (s *starts) Reserve(ctx context.Context, origin string, most int) (push.Room, *news.Receipt) {
	room, fault := s.sender.Reserve(ctx, origin, most)
	if room == nil {
		return nil, fault
	}
	return watchedRoom{room, s}, nil
}

// watchedRoom is a room whose starts are noted.
type watchedRoom struct {
	push.Room
	starts *starts
}

func (r watchedRoom) Send(ctx context.Context, messages []push.Outgoing, gate push.Gate, to push.Reporter, batch any) {
	said := make([]revisionOf, len(messages))
	for i := range messages {
		var ok bool
		if said[i], ok = drillsOwn(messages[i].Message.Payload); !ok {
			r.refuse(len(messages), to, batch)
			return
		}
	}
	r.Room.Send(ctx, messages, func(from, to int) error {
		if err := gate(from, to); err != nil {
			return err
		}
		now := time.Now()
		for _, revision := range said[from:to] {
			r.starts.note(revision, now)
		}
		return nil
	}, to, batch)
}

// refuse sends none of them.
func (r watchedRoom) refuse(n int, to push.Reporter, batch any) {
	r.Release()
	reports := make([]push.Report, n)
	for i := range reports {
		reports[i] = push.Report{Batch: batch, Index: i, Receipt: news.Receipt{Outcome: news.Refused, Reason: "not a drill's message"}}
	}
	to.Report(reports)
}

// drillsOwn reads what a message is about; false: it does not bear the drill's mark.
func drillsOwn(payload []byte) (revisionOf, bool) {
	var said struct {
		Notification struct {
			Title string
			Data  revisionOf
		}
	}
	err := json.Unmarshal(payload, &said)
	return said.Notification.Data, err == nil && strings.HasPrefix(said.Notification.Title, drillMark)
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
