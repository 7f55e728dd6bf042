package desk

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode"

	"dateline/internal/news"
)

// Past is what earlier alerts came to.
type Past interface {
	// IntendedOfLevel is how many devices the last first releases of a level
	// were for, newest first.
	IntendedOfLevel(ctx context.Context, level news.Level, limit int) ([]int, error)
}

const (
	usualOf    = 20 // alerts that a level's usual reach is taken from
	usualLeast = 5  // fewer say nothing
	usualFresh = time.Minute
	// unusual is how many times the usual reach has to be typed out.
	unusual = 2
)

// usualView compares a count with the level's usual reach.
type usualView struct {
	Alerts int // it is taken from; fewer than usualLeast: there is none
	Median int
	Level  string
	// Reach is what is compared: all the devices the alert is meant for,
	// estimated where this process holds a part of the cells.
	Reach int
}

// Known says that there is something to compare with.
func (u usualView) Known() bool { return u.Alerts >= usualLeast && u.Median > 0 }

// Large says that the count must be typed out before a release.
func (u usualView) Large() bool { return u.Known() && u.Reach > unusual*u.Median }

// Times is how many times the usual it is.
func (u usualView) Times() string {
	return strconv.FormatFloat(float64(u.Reach)/float64(max(1, u.Median)), 'f', 1, 64)
}

// usual compares a count of an alert of this level. Without a past it says that
// there is none.
func (p *Pages) usual(ctx context.Context, level news.Level, r *Reach) usualView {
	u := usualView{Level: level.String(), Reach: r.Devices + r.Unreachable}
	if r.Cells > 0 && r.Cells < news.Cells {
		u.Reach = u.Reach * news.Cells / r.Cells
	}
	if p.past == nil {
		return u
	}
	sizes, err := p.usuals.get(level.String(), func() ([]int, error) { return p.past.IntendedOfLevel(ctx, level, usualOf) })
	if err != nil {
		p.log.Warn("the reach of earlier alerts can't be read; nothing is compared", "error", err)
		return u
	}
	u.Alerts = len(sizes)
	if u.Alerts > 0 {
		sorted := slices.Sorted(slices.Values(sizes))
		u.Median = (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	}
	return u
}

// counted refuses a release from the page that goes to far more devices than
// its level's usually do, unless their number was typed: what is shown now, give
// or take what came and went while it was typed.
func (p *Pages) counted(ctx context.Context, id, typed string) error {
	if p.reach == nil {
		return nil
	}
	a, err := p.desk.store.Alert(ctx, id)
	if err != nil {
		return fmt.Errorf("desk: release alert %s: %w", id, err)
	}
	r := p.reachOf(a)
	u := p.usual(ctx, a.Level, r)
	if !u.Large() {
		return nil
	}
	n, ok := numberIn(typed)
	if off := n - r.Devices; ok && max(off, -off) <= max(10, r.Devices/20) {
		return nil
	}
	return news.Invalid("count", "must be typed: this %s would go to %d devices here, %s times what its level usually reaches (%d); type %d to release it",
		u.Level, r.Devices, u.Times(), u.Median, r.Devices)
}

// numberIn reads a count as people write it: 41,220, 41 220 and ４１２２０.
func numberIn(typed string) (n int, ok bool) {
	for _, r := range typed {
		switch {
		case unicode.IsDigit(r):
			d, known := digit(r)
			if !known || n > 1<<40 {
				return 0, false
			}
			n, ok = n*10+d, true
		case unicode.IsSpace(r) || r == ',' || r == '.' || r == '\'' || r == '’' || r == '٬':
		default:
			return 0, false
		}
	}
	return n, ok
}

// digit is a decimal digit's value in any script: Unicode has them in runs of ten.
func digit(r rune) (value int, ok bool) {
	for v := range rune(10) {
		if zero := r - v; unicode.IsDigit(zero) && !unicode.IsDigit(zero-1) {
			return int(v), true
		}
	}
	return 0, false
}
