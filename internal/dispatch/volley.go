package dispatch

import (
	"sync"
	"sync/atomic"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/push"
)

// volley is a few tasks of a lane that leave together. It keeps its memory for the
// next: a send allocates nothing here.
type volley struct {
	lane     *lane
	asked    []task // taken from the lane
	tasks    []task // of these, what goes
	orders   []order
	messages []push.Outgoing
	keys     []push.ArmedKey
	places   []audience.Place // of the subscriptions, in text
	spoken   []string         // languages
	text     []byte
	started  atomic.Int64 // when its gate last opened, in ns since the service's beginning
	left     atomic.Int32 // reports to come, and the sender's return
}

var volleys = sync.Pool{New: func() any { return new(volley) }}

// newVolley is empty. It ends with done.
func newVolley(l *lane) *volley {
	v := volleys.Get().(*volley) //nolint:forcetypeassert // New makes nothing else
	l.lanes.workers.Add(1)       // its pump is one already, so nobody has stopped waiting
	v.lane = l
	v.left.Store(1)
	return v
}

// volleyOf is the volley of a report.
func volleyOf(r *push.Report) *volley {
	return r.Batch.(*volley) //nolint:forcetypeassert // what send gave the room
}

// add takes a task that goes.
func (v *volley) add(t task, o order) {
	v.tasks, v.orders = append(v.tasks, t), append(v.orders, o)
	v.messages = append(v.messages, push.Outgoing{})
	v.left.Add(1)
}

// done says that the sender, or a report, looks at it no more.
func (v *volley) done() {
	if v.left.Add(-1) > 0 {
		return
	}
	l := v.lane
	clear(v.asked)
	clear(v.tasks)
	clear(v.messages)
	clear(v.keys)
	*v = volley{asked: v.asked[:0], tasks: v.tasks[:0], orders: v.orders[:0], messages: v.messages[:0], keys: v.keys[:0],
		places: v.places[:0], spoken: v.spoken[:0], text: v.text[:0]}
	volleys.Put(v)
	l.lanes.workers.Done()
}

// permits is the volley's gate.
func (v *volley) permits(from, to int) error {
	s := v.lane.lanes.service
	if err := s.book.permits(v.tasks[from:to]); err != nil {
		return err
	}
	v.started.Store(int64(time.Since(s.began)))
	return nil
}

// sent is when its last messages left.
func (v *volley) sent() time.Time {
	return v.lane.lanes.service.began.Add(time.Duration(v.started.Load()))
}

// fail reports that none of it left: why for as many as were to leave, and that
// nobody gets there for the rest.
func (v *volley) fail(why news.Receipt, tried int) {
	v.lane.landed(len(v.asked) - len(v.tasks))
	reports := make([]push.Report, len(v.tasks))
	for i := range reports {
		reports[i] = push.Report{Batch: v, Index: i, Receipt: why}
		if i >= tried && why.Outcome == news.Retry {
			reports[i].Receipt.Reason = reasonUnreached
		}
	}
	if len(reports) > 0 {
		v.lane.Report(reports)
	}
}

// fill asks the book what of the volley may go, and makes its messages; false when
// nothing goes.
func (s *Service) fill(v *volley) bool {
	s.book.start(v)
	v.lane.landed(len(v.asked) - len(v.tasks))
	if len(v.tasks) == 0 {
		v.lane.poke()
		return false
	}
	for _, t := range v.tasks {
		var place audience.Place
		var language string
		v.text, place, language, _ = s.audience.Cell(t.cell.row.Cell).AppendTarget(v.text, t.number)
		v.places, v.spoken = append(v.places, place), append(v.spoken, language)
	}
	text := string(v.text)
	v.keys = append(v.keys, make([]push.ArmedKey, len(v.tasks))...)
	for i, t := range v.tasks {
		s.write(&v.messages[i], v, i, t, text)
	}
	return true
}

// write makes a message of the volley.
func (s *Service) write(m *push.Outgoing, v *volley, i int, t task, text string) {
	_, p256dh, auth := v.places[i].Of(v.text)
	m.To = push.Target{Endpoint: v.places[i].Endpoint(text), P256dh: p256dh, Auth: auth}
	m.Message = t.cell.run.payload.message(v.orders[i], news.DeviceRef{Cell: t.cell.row.Cell, Number: t.number}, v.spoken[i], s.cfg.Links)
	if s.takeKey(t, m.To, &v.keys[i]) {
		m.Message.Key = &v.keys[i]
	}
}
