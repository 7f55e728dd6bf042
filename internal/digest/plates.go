package digest

import (
	"container/list"
	"sync"

	"dateline/internal/email"
)

// maxPlates bounds the mails remembered: about 600 contents of 45 KB, with
// what is signed beside what is sent.
const maxPlates = 64 << 20

// plates remembers the mails that were made for everybody who gets the same
// content (DESIGN 8), the last used ones. Each is made once, however many
// readers come for it at the same time.
type plates struct {
	limit int

	mu    sync.Mutex
	size  int
	byKey map[string]*list.Element
	order list.List // of *remembered, the last used first
}

type remembered struct {
	key   string
	once  sync.Once
	plate *email.Plate
	err   error
	size  int // counted in plates.size; 0 until it is made
}

func newPlates(limit int) *plates { return &plates{limit: limit, byKey: map[string]*list.Element{}} }

// get gives the plate of a content, and makes it where it is not remembered. A
// fault is not remembered.
func (p *plates) get(key string, make func() (*email.Plate, error)) (*email.Plate, error) {
	r := p.find(key)
	r.once.Do(func() {
		r.plate, r.err = make()
		p.made(r)
	})
	return r.plate, r.err
}

func (p *plates) find(key string) *remembered {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byKey[key]; e != nil {
		p.order.MoveToFront(e)
		return e.Value.(*remembered)
	}
	r := &remembered{key: key}
	p.byKey[key] = p.order.PushFront(r)
	return r
}

// made counts a plate, and forgets those used longest ago.
func (p *plates) made(r *remembered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byKey[r.key]
	if e == nil || e.Value != r { // forgotten meanwhile
		return
	}
	if r.err != nil {
		p.forget(e)
		return
	}
	r.size = r.plate.Size() + len(r.key)
	p.size += r.size
	for p.size > p.limit && p.order.Len() > 1 {
		p.forget(p.order.Back())
	}
}

func (p *plates) forget(e *list.Element) {
	r := p.order.Remove(e).(*remembered)
	delete(p.byKey, r.key)
	p.size -= r.size
}
