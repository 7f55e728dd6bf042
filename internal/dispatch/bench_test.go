package dispatch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// million is a dispatcher with a million devices in memory and a release for
// all of them.
func million(b *testing.B) (*Service, *run, holding) {
	b.Helper()
	store := newMemory()
	s := New(Config{Store: store, Sender: newService(), Links: testLinks, Holder: "one", BaseURL: "https://alerts.example"})
	fresh := map[int]int64{}
	var leases []news.Lease
	for cell := range news.Cells {
		w := wishes([]string{"JP", "035", "ID", "142"}[cell%4])
		for n := range uint32(1_000_000 / news.Cells) {
			s.audience.Cell(cell).Put(news.Device{ID: fmt.Sprintf("0190f2f0-0000-7000-8000-%06x%06x", cell, n),
				SubscriberID: fmt.Sprintf("0190f2f0-0000-7000-9000-%06x%06x", cell, n), Cell: cell, Number: n, State: news.DeviceActive, Wishes: w,
				Push: news.PushSubscription{Endpoint: fmt.Sprintf("%s/fcm/send/%0140d", origin, n), P256dh: make([]byte, 65), Auth: make([]byte, 16)}})
		}
		fresh[cell] = 1
		store.owner[cell], store.fence[cell] = "one", 1
		leases = append(leases, news.Lease{Cell: cell, Fence: 1})
	}
	s.held.update(leases, time.Now().Add(time.Hour))
	s.held.loaded(fresh)
	s.permit.renew(time.Now().Add(time.Hour))
	release := news.Release{ID: "r", Kind: news.ReleaseAlert, StoryURI: "s", Revision: 1, State: news.ReleaseSending, Level: news.LevelFlash, Audience: "142",
		Language: "en", Texts: map[string]news.Text{"en": {Title: "Title", Body: "Body"}}, ReleasedAt: time.Now(), Deadline: time.Now().Add(time.Hour)}
	s.book.active = []news.Release{release}
	s.book.open(release, nil, newPayloads(&release, "https://alerts.example", false), s.query(release))
	return s, s.book.runs["r"], s.held.list()
}

// The plan for a million devices: matched, sorted by push service.
func BenchmarkPlanAMillion(b *testing.B) {
	s, r, h := million(b)
	for b.Loop() {
		clear(r.cells)
		r.planned = 0
		if err := s.planRun(r, h); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(r.planned), "devices")
}

// Writing what changed, with a window open over all cells.
func BenchmarkWriteAMillion(b *testing.B) {
	s, r, h := million(b)
	if err := s.planRun(r, h); err != nil {
		b.Fatal(err)
	}
	s.lanes.close() // nothing is sent
	for b.Loop() {
		if err := s.writeLedger(context.Background()); err != nil {
			b.Fatal(err)
		}
		for _, c := range r.cells {
			c.dirty = true
		}
	}
}

// One send as the book and the payload see it.
func BenchmarkSend(b *testing.B) {
	s, r, h := million(b)
	if err := s.planRun(r, h); err != nil {
		b.Fatal(err)
	}
	s.cfg.Sender = nothing{}
	l := s.lanes.lane(origin)
	n := 0
	for b.Loop() {
		c := r.cells[n%news.Cells]
		number := uint32(n/news.Cells) % (1_000_000 / news.Cells)
		n++
		c.row.Opened.Add(number)
		c.row.Accepted.Remove(number)
		s.book.loads.begin(origin, 1)
		c.tasks++
		s.attempt(l, task{cell: c, number: number, lane: origin})
	}
}

// nothing accepts everything.
type nothing struct{}

func (nothing) Send(_ context.Context, _ push.Target, m push.Message) news.Receipt {
	if m.Permit() != nil {
		return news.Receipt{Outcome: news.Retry, Reason: reasonStopped}
	}
	return news.Receipt{Outcome: news.Accepted, Status: 201}
}
