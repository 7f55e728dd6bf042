package dispatch

import (
	"context"
	"fmt"
	"sync"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// Progress is how far a release has come in the cells held here, by push service
// and by the place through which it reaches the reader. Each device counts once
// in either. Shown and what is quarantined are not in it.
type Progress struct {
	Cells    int                    // held here and planned
	Services map[string]news.Counts // by scheme and host of the endpoints; "": another
	Places   map[string]news.Counts // by country, area or group; "": another
}

// Watch counts the progress of releases for those who look at one. A million
// devices are labelled once, when somebody first looks at the release; after
// that a look copies the rows, cell by cell, so that the book is never held for
// longer than a few bitmaps take, and counts the copies.
type Watch struct {
	service *Service

	mu      sync.Mutex // one look at a time
	watched []*watched // the last looked at first
}

// mostWatched releases keep their labels, at two bytes a device.
const mostWatched = 4

type watched struct {
	release string
	labels  *audience.Labels
	cells   map[int][]audience.Label
}

// NewWatch watches a dispatcher's releases.
func NewWatch(s *Service) *Watch { return &Watch{service: s} }

// Progress is how far a release has come, from the book, or from the store when
// nothing of the release is left to be done.
func (w *Watch) Progress(ctx context.Context, releaseID string) (Progress, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows, query := w.service.book.copies(releaseID)
	if rows == nil {
		h := w.service.held.list()
		if len(h.cells) == 0 {
			return Progress{}, nil
		}
		r, err := w.service.cfg.Store.Release(ctx, releaseID)
		if err != nil {
			return Progress{}, fmt.Errorf("dispatch: progress of release %s: %w", releaseID, err)
		}
		stored, err := w.service.cfg.Store.Ledger(ctx, []string{releaseID}, h.cells)
		if err != nil {
			return Progress{}, fmt.Errorf("dispatch: progress of release %s: %w", releaseID, err)
		}
		query = w.service.query(r)
		rows = func(yield func(*news.LedgerRow) bool) {
			for _, row := range stored {
				if !yield(row) {
					return
				}
			}
		}
	}
	return w.of(releaseID, query.Expr.Set()).count(w.service.audience, rows), nil
}

// of is the release's labels; the one that nobody looked at for longest goes.
func (w *Watch) of(releaseID string, places region.Set) *watched {
	for i, one := range w.watched {
		if one.release == releaseID {
			copy(w.watched[1:i+1], w.watched[:i])
			w.watched[0] = one
			return one
		}
	}
	one := &watched{release: releaseID, labels: w.service.audience.NewLabels(places), cells: map[int][]audience.Label{}}
	w.watched = append([]*watched{one}, w.watched[:min(len(w.watched), mostWatched-1)]...)
	return one
}

// copies gives the rows of a release one after the other, each as it is when it
// is asked for; nil when the book does not have the release.
func (b *book) copies(releaseID string) (rows func(yield func(*news.LedgerRow) bool), query audience.Query) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.runs[releaseID]
	if r == nil {
		return nil, query
	}
	cells := make([]int, 0, len(r.cells))
	for cell := range r.cells {
		cells = append(cells, cell)
	}
	return func(yield func(*news.LedgerRow) bool) {
		for _, cell := range cells {
			if row := b.copyOf(r, cell); row != nil && !yield(row) {
				return
			}
		}
	}, r.query
}

// copyOf copies what Progress reads of a row; nil when the cell went.
func (b *book) copyOf(r *run, cell int) *news.LedgerRow {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := r.cells[cell]
	if c == nil {
		return nil
	}
	from := c.row
	return &news.LedgerRow{Cell: cell, Planned: from.Planned.Clone(), Held: from.Held.Clone(), Accepted: from.Accepted.Clone(), Gone: from.Gone.Clone(),
		Failed: from.Failed.Clone(), Ambiguous: from.Ambiguous.Clone(), Cancelled: from.Cancelled.Clone(), Expired: from.Expired.Clone()}
}

// tally counts devices by label.
type tally struct{ services, places [256]int }

func (t *tally) add(numbers *news.Numbers, labels []audience.Label) {
	for it := numbers.ManyIterator(); ; {
		var some [256]uint32
		n := it.NextMany(some[:])
		if n == 0 {
			return
		}
		for _, number := range some[:n] {
			var l audience.Label
			if int(number) < len(labels) {
				l = labels[number]
			}
			t.services[l.Service]++
			t.places[l.Place]++
		}
	}
}

// count adds up the rows.
func (w *watched) count(a *audience.Audience, rows func(yield func(*news.LedgerRow) bool)) Progress {
	var planned, held, accepted, gone, failed, ambiguous, cancelled, expired tally
	p := Progress{}
	for row := range rows {
		p.Cells++
		labels := w.cells[row.Cell]
		if !row.Planned.IsEmpty() && int(row.Planned.Maximum()) >= len(labels) {
			labels = w.labels.Of(a.Cell(row.Cell), row.Planned)
			w.cells[row.Cell] = labels
		}
		planned.add(row.Planned, labels)
		held.add(row.Held, labels)
		accepted.add(row.Accepted, labels)
		gone.add(row.Gone, labels)
		failed.add(row.Failed, labels)
		ambiguous.add(row.Ambiguous, labels)
		cancelled.add(row.Cancelled, labels)
		expired.add(row.Expired, labels)
	}
	gather := func(names []string, of func(*tally) *[256]int) map[string]news.Counts {
		out := map[string]news.Counts{}
		for i, name := range names {
			n := of(&planned)[i]
			if n == 0 {
				continue
			}
			c := news.Counts{Intended: n, Reachable: n, Held: of(&held)[i], Accepted: of(&accepted)[i], Gone: of(&gone)[i], Failed: of(&failed)[i],
				Ambiguous: of(&ambiguous)[i], Cancelled: of(&cancelled)[i], Expired: of(&expired)[i]}
			c.Pending = n - c.Held - c.Accepted - c.Gone - c.Failed - c.Ambiguous - c.Cancelled - c.Expired
			out[name] = c
		}
		return out
	}
	p.Services = gather(w.labels.Services(), func(t *tally) *[256]int { return &t.services })
	p.Places = gather(w.labels.Places(), func(t *tally) *[256]int { return &t.places })
	return p
}
