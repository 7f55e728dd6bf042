package push

import (
	"context"
	"sync"
	"testing"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// collector is a Reporter that waits for the receipts of a test's batches.
type collector struct {
	t    testing.TB
	mu   sync.Mutex
	got  map[any][]*news.Receipt
	left sync.WaitGroup
}

func newCollector(t testing.TB) *collector { return &collector{t: t, got: map[any][]*news.Receipt{}} }

func (c *collector) expect(batch any, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got[batch] = make([]*news.Receipt, n)
	c.left.Add(n)
}

func (c *collector) Report(reports []Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range reports {
		if c.got[r.Batch][r.Index] != nil {
			c.t.Errorf("message %d was reported twice: %+v, then %+v", r.Index, *c.got[r.Batch][r.Index], r.Receipt)
			continue
		}
		c.got[r.Batch][r.Index] = &r.Receipt
		c.left.Done()
	}
}

func agrees(int, int) error { return nil }

// deliver sends messages to one origin in batches and waits for all receipts.
func deliver(t testing.TB, s *Sender, origin string, all []Outgoing, gate Gate) []news.Receipt {
	t.Helper()
	c := newCollector(t)
	var order []any
	for rest := all; len(rest) > 0; {
		room, fault := s.Reserve(context.Background(), origin, len(rest))
		if fault != nil {
			t.Fatalf("no room at %s: %+v", origin, *fault)
		}
		if room == nil {
			continue
		}
		n := min(room.Places(), len(rest))
		batch := new(int)
		order = append(order, batch)
		c.expect(batch, n)
		room.Send(context.Background(), rest[:n], gate, c, batch)
		rest = rest[n:]
	}
	c.left.Wait()
	var out []news.Receipt
	for _, batch := range order {
		for _, r := range c.got[batch] {
			out = append(out, *r)
		}
	}
	return out
}

func TestBatchIsShown(t *testing.T) {
	for name, opts := range map[string]simulate.PushOptions{
		"h2": {}, "http/1.1": {HTTP1: true}, "http": {Plain: true}, "h2, few streams": {Streams: 3},
	} {
		t.Run(name, func(t *testing.T) {
			svc, s := service(t, opts, nil)
			phones, err := svc.NewPhones(300)
			if err != nil {
				t.Fatal(err)
			}
			var all []Outgoing
			for i, p := range phones {
				m := message("t", 1)
				if i%2 == 0 {
					key, err := Arm(target(p))
					if err != nil {
						t.Fatal(err)
					}
					m.Key = &key
				}
				m.TTL = 100 + i/100
				all = append(all, Outgoing{target(p), m})
			}
			for i, r := range deliver(t, s, svc.Origin(), all, agrees) {
				if r.Outcome != news.Accepted {
					t.Fatalf("message %d: %+v", i, r)
				}
			}
			for i, p := range phones {
				if shown := p.Shown(); len(shown) != 1 {
					t.Fatalf("phone %d shows %d notifications", i, len(shown))
				}
			}
		})
	}
}

// A message for another push service goes to neither: the service of the room must not
// learn the address.
func TestAnotherServicesEndpoint(t *testing.T) {
	for name, opts := range map[string]simulate.PushOptions{"h2": {}, "http/1.1": {HTTP1: true}} {
		t.Run(name, func(t *testing.T) {
			svc, s := service(t, opts, nil)
			_, to := phone(t, svc)
			to.Endpoint = "https://updates.push.services.mozilla.com/wpush/v2/x"
			for _, r := range deliver(t, s, svc.Origin(), []Outgoing{{to, message("t", 1)}}, agrees) {
				if r.Outcome != news.Retry || r.Reason != "moved" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestPathOf(t *testing.T) {
	for _, c := range []struct{ origin, endpoint, path string }{
		{"https://push.example", "https://push.example/a?b=c", "/a?b=c"},
		{"https://push.example", "https://push.example:443/a", "/a"},
		{"https://push.example", "https://push.example", "/"},
		{"https://push.example", "https://push.example?token=x", "/?token=x"},
		{"https://push.example:8443", "https://push.example:8443/a", "/a"},
		{"https://push.example", "https://push.example.evil/a", ""},
		{"https://push.example", "https://push.example:4430/a", ""},
		{"https://push.example", "https://push.example@evil/a", ""},
		{"https://push.example", "https://push.example/a b", ""},
	} {
		if path, ok := pathOf(c.origin, c.endpoint); path != c.path || ok != (c.path != "") {
			t.Errorf("%s has %q, %v", c.endpoint, path, ok)
		}
	}
}
