package dispatch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// million is a dispatcher with a million devices in memory, whose readers want
// so many alerts a day at most (0: no cap), and a release for all of them.
func million(b *testing.B, most int) (*Service, *run, holding) {
	b.Helper()
	store := newMemory()
	s := New(Config{Store: store, Sender: newService(), Links: testLinks, Holder: "one", BaseURL: "https://alerts.example"})
	fresh := map[int]int64{}
	var leases []news.Lease
	for cell := range news.Cells {
		w := wishes([]string{"JP", "035", "ID", "142"}[cell%4])
		w.Cap = most
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
	release := news.Release{ID: "r", AlertID: "a", Kind: news.ReleaseAlert, StoryURI: "s", Revision: 1, State: news.ReleaseSending, Level: news.LevelBulletin, Audience: "142",
		Language: "en", Texts: map[string]news.Text{"en": {Title: "Title", Body: "Body"}}, ReleasedAt: time.Now(), Deadline: time.Now().Add(time.Hour)}
	s.book.active = []news.Release{release}
	s.book.open(release, nil, newPayloads(&release, "https://alerts.example", false), s.query(release))
	return s, s.book.runs["r"], s.held.list()
}

// The plan for a million devices, up to where it can be written and sent:
// matched and sorted by push service, when the countdown ends or in it; and what
// is counted for caps once the first have gone.
func BenchmarkPlanAMillion(b *testing.B) {
	for _, row := range []struct {
		name     string
		cap      int
		foreseen bool
	}{{"no caps", 0, false}, {"no caps, foreseen", 0, true}, {"all have a cap", 10, false}, {"all have a cap, foreseen", 10, true}} {
		b.Run(row.name, func(b *testing.B) {
			s, r, h := million(b, row.cap)
			a := news.Alert{ID: r.release.AlertID, StoryURI: r.release.StoryURI, Level: r.release.Level, Texts: r.release.Texts,
				Language: r.release.Language, Audience: r.release.Audience, HoldUntil: time.Now()}
			var ahead, after time.Duration
			for b.Loop() {
				b.StopTimer()
				clear(r.cells)
				r.planned, s.caps.sent = 0, map[string]*capEntry{}
				if row.foreseen {
					begun := time.Now()
					a.HoldUntil = begun
					s.foreseeAlert(b.Context(), &a)
					ahead += time.Since(begun)
					s.forecasts.made[a.ID].at = time.Now()
				}
				b.StartTimer()
				err := s.planRun(r, h)
				b.StopTimer()
				begun := time.Now()
				for !s.countPlanned() {
				}
				after += time.Since(begun)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(r.planned), "devices")
			b.ReportMetric(float64(ahead.Milliseconds())/float64(b.N), "ms-ahead/op")
			b.ReportMetric(float64(after.Milliseconds())/float64(b.N), "ms-counting-after/op")
		})
	}
}

// Writing what changed, with a window open over all cells.
func BenchmarkWriteAMillion(b *testing.B) {
	s, r, h := million(b, 0)
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

// One send as the book and the payload see it, in volleys.
func BenchmarkSend(b *testing.B) {
	s, r, h := million(b, 0)
	if err := s.planRun(r, h); err != nil {
		b.Fatal(err)
	}
	s.cfg.Sender = nothing{}
	l := s.lanes.lane(origin)
	l.pumps = 1 // this
	n := 0
	for b.Loop() {
		c := r.cells[n/push.MaxBatch%news.Cells]
		number := uint32(n/push.MaxBatch/news.Cells*push.MaxBatch+n%push.MaxBatch) % (1_000_000 / news.Cells)
		n++
		c.row.Opened.Add(number)
		c.row.Accepted.Remove(number)
		s.book.loads.begin(origin, 1)
		c.tasks++
		l.push(task{cell: c, number: number, lane: origin})
		if n%push.MaxBatch == 0 {
			l.send(push.MaxBatch)
		}
	}
}

// nothing accepts everything.
type nothing struct{}

func (nothing) Reserve(_ context.Context, _ string, most int) (push.Room, *news.Receipt) {
	return room(most), nil
}

type room int

func (r room) Places() int { return int(r) }
func (room) Release()      {}

func (room) Send(_ context.Context, messages []push.Outgoing, gate push.Gate, to push.Reporter, batch any) {
	receipt := news.Receipt{Outcome: news.Accepted, Status: 201}
	if gate(0, len(messages)) != nil {
		receipt = news.Receipt{Outcome: news.Retry, Reason: reasonStopped}
	}
	reports := make([]push.Report, len(messages))
	for i := range reports {
		reports[i] = push.Report{Batch: batch, Index: i, Receipt: receipt}
	}
	to.Report(reports)
}
