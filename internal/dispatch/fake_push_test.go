package dispatch

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
)

func decode(payload []byte) push.Payload {
	var n push.Payload
	if err := json.Unmarshal(payload, &n); err != nil {
		panic(err)
	}
	return n
}

// sent is one message that reached a fake push service.
type sent struct {
	payload push.Payload
	at      time.Time
}

// arrived is one as it came. It is read when a test asks for it: most never are.
type arrived struct {
	body []byte
	at   time.Time
}

func read(list []arrived) []sent {
	out := make([]sent, 0, len(list))
	for _, a := range list {
		out = append(out, sent{decode(a.body), a.at})
	}
	return out
}

// service is a Sender that answers as told and remembers what it was sent.
type service struct {
	mu     sync.Mutex
	sent   map[string][]arrived // by endpoint
	count  int
	away   bool                                     // no connection can be had
	answer func(to push.Target, n int) news.Receipt // n: how often this endpoint was tried before
	takes  time.Duration
	queue  time.Duration // the wait for a connection
}

func newService() *service { return &service{sent: map[string][]arrived{}} }

func (s *service) Send(ctx context.Context, to push.Target, m push.Message) news.Receipt {
	wait(context.Background(), s.queue)
	if m.Permit != nil {
		if err := m.Permit(); err != nil {
			return news.Receipt{Outcome: news.Retry, Reason: "stopped"}
		}
	}
	s.mu.Lock()
	n := len(s.sent[to.Endpoint])
	s.sent[to.Endpoint] = append(s.sent[to.Endpoint], arrived{m.Payload, time.Now()})
	s.count++
	answer := s.answer
	s.mu.Unlock()
	if !wait(ctx, s.takes) {
		return news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}
	}
	if answer != nil {
		return answer(to, n)
	}
	return news.Receipt{Outcome: news.Accepted, Status: 201}
}

// single sends one message at a time.
type single interface {
	Send(ctx context.Context, to push.Target, m push.Message) news.Receipt
}

// Reserve has room for one message at any time.
func (s *service) Reserve(_ context.Context, origin string, _ int) (push.Room, *news.Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, &news.Receipt{Outcome: news.Retry, Reason: "dial"}
	}
	return oneByOne{s, origin}, nil
}

// oneByOne is a Room that hands its messages to a single, each on its own
// goroutine.
type oneByOne struct {
	single
	origin string // "": any
}

func (oneByOne) Places() int { return 1 }
func (oneByOne) Release()    {}

func (o oneByOne) Send(ctx context.Context, messages []push.Outgoing, gate push.Gate, to push.Reporter, batch any) {
	for i := range messages {
		m := messages[i].Message
		m.Permit = func() error { return gate(i, i+1) }
		go func() {
			if o.origin != "" && push.Origin(messages[i].To.Endpoint) != o.origin {
				to.Report([]push.Report{{Batch: batch, Index: i, Receipt: news.Receipt{Outcome: news.Retry, Reason: "moved"}}})
				return
			}
			to.Report([]push.Report{{Batch: batch, Index: i, Receipt: o.single.Send(ctx, messages[i].To, m)}})
		}()
	}
}

// wait takes a while of the bubble's time; false: ctx ended first. It makes no
// timer where there is nothing to wait for: one that is due when it is made runs
// at once, on the goroutine that asks for it, and several of a bubble doing so
// break the race detector's own state (golang/go#78156, "ThreadSanitizer: CHECK
// failed"): the process dies without a word of any test.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// behaves makes the service accept everything from now on.
func (s *service) behaves() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = nil
}

// to lists what one endpoint was sent.
func (s *service) to(endpoint string) []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return read(s.sent[endpoint])
}

// after lists the sends that started later than d after at.
func (s *service) after(at time.Time, d time.Duration) []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var late []arrived
	for _, list := range s.sent {
		for _, m := range list {
			if m.at.Sub(at) > d {
				late = append(late, m)
			}
		}
	}
	return read(late)
}

func (s *service) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

var testLinks = link.New([]byte("0123456789abcdef0123456789abcdef"))

// times are those of all sends, in order.
func (s *service) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Time
	for _, list := range s.sent {
		for _, a := range list {
			out = append(out, a.at)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}
