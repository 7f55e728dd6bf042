package dispatch

import (
	"cmp"
	"slices"

	"dateline/internal/news"
)

// inOrder lists the runs as they were released: a repair's plan needs the rows
// of what it repairs.
func (b *book) inOrder() []*run {
	b.mu.Lock()
	defer b.mu.Unlock()
	runs := b.ordered()
	slices.SortStableFunc(runs, func(x, y *run) int {
		return cmp.Or(x.release.ReleasedAt.Compare(y.release.ReleasedAt), cmp.Compare(x.release.Revision, y.release.Revision))
	})
	return runs
}

func (b *book) has(releaseID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.runs[releaseID] != nil
}

// lacking gives the runs that have no row in some of the cells, and those
// cells. A run whose plan waits (a repair that is patient) is asked about
// again, which is cheap: its rows are not there yet.
func (b *book) lacking(cells []int) (ids []string, where []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing := map[int]bool{}
	for id, r := range b.runs {
		lacks := false
		for _, c := range cells {
			if r.cells[c] == nil {
				missing[c], lacks = true, true
			}
		}
		if lacks {
			ids = append(ids, id)
		}
	}
	for c := range missing {
		where = append(where, c)
	}
	return ids, where
}

// adoptFound puts stored rows under their runs.
func (b *book) adoptFound(rows []*news.LedgerRow, h holding) {
	for _, row := range rows {
		b.mu.Lock()
		r := b.runs[row.ReleaseID]
		known := r == nil || r.cells[row.Cell] != nil
		b.mu.Unlock()
		if !known {
			b.adopt(r, row, adoption{fence: h.fences[row.Cell], found: true})
		}
	}
}

// unplanned is the cells in which the run has no row and is to get one.
func (b *book) unplanned(r *run, cells []int) []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.state == news.ReleaseHeld {
		return nil
	}
	var todo []int
	for _, c := range cells {
		if r.cells[c] == nil {
			todo = append(todo, c)
		}
	}
	return todo
}

// finished lists the runs that have nothing left to do here and whose rows, one
// for each of the cells, are all written, and counted for caps: what is forgotten
// is counted for nobody.
func (b *book) finished(h holding) []*run {
	b.mu.Lock()
	defer b.mu.Unlock()
	var done []*run
	for _, r := range b.runs {
		over := !r.settled && len(h.cells) > 0
		for _, cell := range h.cells {
			c := r.cells[cell]
			over = over && c != nil && c.row.Settled && !c.dirty && !c.uncounted
		}
		if over {
			done = append(done, r)
		}
	}
	return done
}
