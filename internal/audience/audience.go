// Package audience holds every device in memory, in cells, and decides who
// gets an alert, who does not, and why. The editor's preview, the dispatcher
// and the reader's "why did I get this?" are answered by the same two pure
// functions (taste and decide); nothing here reads a clock or a database.
//
// It promises: equal preferences are judged once per alert; a device's number
// means the same device for ever; a device that is not active never matches;
// no input panics.
//
// # The rules (who gets it)
//
// A reader's places are what she follows minus what she mutes. A bulletin or
// flash must overlap them; for a notice, one of the audience's places must
// equal them or lie inside.
//
// The level must be at least the one wanted there. Overrides go first: each
// holds for its own places, as far as the reader follows them, by the same
// place rule; the reader's general level holds for the rest. Where several
// apply (an alert for Japan and Korea, "only flashes" for Japan), the lowest
// one, the most generous, wins. An override never adds places.
//
// A flash passes quiet hours and the cap unless the reader turned that off;
// then it is held and counted like any other alert. A held device is planned:
// it is judged again when its quiet hours end.
//
// "Only when it's over" is a wish about one story. It keeps back every alert of
// the story but the one that the desk marked as its last, and brings that one
// whatever she follows and whatever she was sent before: she asked for it by
// name. A pause, quiet hours and the cap hold for it as for any other.
//
// A repair goes to whoever was sent the original, whatever she follows by now;
// only devices that are gone, have left or are in quarantine get none.
package audience

import (
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Audience is every device this process knows of. It is safe for concurrent
// use: readers of a cell do not wait for one another.
type Audience struct {
	interned *interned
	cells    [news.Cells]*Cell
}

// New is an empty audience.
func New() *Audience {
	a := &Audience{interned: newInterned()}
	for i := range a.cells {
		a.cells[i] = newCell(i, a.interned)
	}
	return a
}

// Cell is one of the 256 slices of all devices; n counts modulo 256.
func (a *Audience) Cell(n int) *Cell { return a.cells[uint(n)%news.Cells] }

// Size counts what is held.
func (a *Audience) Size() Size {
	var s Size
	for _, c := range a.cells {
		s.add(c)
	}
	s.Preferences = a.interned.distinct()
	return s
}

// Size is how many devices there are in each state, and how many distinct
// preferences they have.
type Size struct {
	Active, Gone, Left, Quarantined int
	Preferences                     int
}

// Query is an alert as it is matched.
type Query struct {
	StoryURI  string
	Level     news.Level
	Expr      region.Expr // the audience; the zero Expr reaches nobody
	Sections  []string    // empty: all
	Languages []string    // of the texts on hand
	Language  string      // the story's own: the text of last resort
	Now       time.Time
	Repair    bool // a correction or kill of something already sent
	Final     bool // the last alert of a running story
}
