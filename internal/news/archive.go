package news

import "time"

// PublicAlert is an alert as readers may see it: what went out about it, the
// oldest first, never empty. What was drafted, stopped before its first send or
// is still waiting is not in it.
type PublicAlert struct {
	ID       string
	Releases []Release
}

// First is what readers were sent first.
func (a PublicAlert) First() Release { return a.Releases[0] }

// Newest is what holds now.
func (a PublicAlert) Newest() Release { return a.Releases[len(a.Releases)-1] }

// Mark is the alert's place in the archive.
func (a PublicAlert) Mark() ArchiveMark { return ArchiveMark{At: a.First().ReleasedAt, AlertID: a.ID} }

// ArchiveMark is a place in the archive, which goes from new to old. The zero
// mark is before all.
type ArchiveMark struct {
	At      time.Time
	AlertID string
}
