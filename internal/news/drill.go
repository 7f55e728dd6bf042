package news

import "time"

// DrillRecord is what is kept of a drill: that it was held, by whom, and its
// report. Nothing else of a drill is in the newsroom's own database.
type DrillRecord struct {
	ID        string
	Place     string // the process it runs in
	StartedAt time.Time
	StartedBy string
	Until     time.Time // it is over then, whatever becomes of its process
	EndedAt   time.Time // zero: not yet, as far as is known
	EndedBy   string
	Report    []byte // JSON; empty before the end, and after a crash
}

// Runs reports whether the drill is going on.
func (d *DrillRecord) Runs(now time.Time) bool { return d.EndedAt.IsZero() && d.Until.After(now) }
