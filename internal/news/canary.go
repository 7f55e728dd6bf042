package news

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// Phase is how far a first alert has opened up. It leaves PhaseCanary once, by
// compare-and-set: to PhaseAll when the first few went well or took too long to
// tell, to PhasePaused when they went badly. After that only the state counts.
type Phase string

// The phases. What has no canary begins with PhaseAll.
const (
	PhaseCanary Phase = "canary"
	PhasePaused Phase = "paused"
	PhaseAll    Phase = "all"
)

// The canary: the first few devices of an alert, whose answers tell a mistake of
// ours (a key, a payload) before a million have it.
const (
	canaryShare    = 100   // one in
	canaryMost     = 200   // devices
	canaryLeast    = 2_000 // smaller plans have none
	CanaryPatience = 3 * time.Second
	// canaryFailing of 100 answers may be failures: one more pauses the alert.
	canaryFailing = 5
	// canaryWell is how many answers of one push service it takes to say that
	// the failures of another are that one's own.
	canaryWell = 20
)

// CanarySize is how many of so many planned devices go first.
func CanarySize(planned int) int {
	if planned < canaryLeast {
		return 0
	}
	return min(planned/canaryShare, canaryMost)
}

// CanaryTally is how the canary of one push service went: Troubled are those
// whose last answer was that it can't be taken now, or none.
type CanaryTally struct {
	Size     int `json:"size"`
	Accepted int `json:"accepted,omitempty"`
	Gone     int `json:"gone,omitempty"`
	Refused  int `json:"refused,omitempty"`
	Troubled int `json:"troubled,omitempty"`
	// Dropped will get no message: the reader left, or the time is over.
	Dropped int `json:"dropped,omitempty"`
}

// Answered is how many of the tally are known.
func (t CanaryTally) Answered() int { return t.Accepted + t.Gone + t.Refused + t.Troubled + t.Dropped }

// well reports whether the service takes our messages: enough answers, and no
// more of them failures than a canary may have.
func (t CanaryTally) well() bool {
	return t.Answered() >= canaryWell && 100*(t.Refused+t.Troubled) <= canaryFailing*t.Answered()
}

// add adds o.
func (t *CanaryTally) add(o CanaryTally) {
	t.Size += o.Size
	t.Accepted += o.Accepted
	t.Gone += o.Gone
	t.Refused += o.Refused
	t.Troubled += o.Troubled
	t.Dropped += o.Dropped
}

// CanaryFigures are what the ledger says of a release's canary.
type CanaryFigures struct {
	Rows    int // cells planned, of Cells
	Planned int // devices that are not held for the morning
	Tallies map[string]CanaryTally
}

// Add takes over the tallies of a row.
func (f *CanaryFigures) Add(tallies map[string]CanaryTally) {
	for service, t := range tallies {
		if f.Tallies == nil {
			f.Tallies = map[string]CanaryTally{}
		}
		sum := f.Tallies[service]
		sum.add(t)
		f.Tallies[service] = sum
	}
}

// Total is the canary over all push services.
func (f *CanaryFigures) Total() CanaryTally {
	var all CanaryTally
	for _, t := range f.Tallies {
		all.add(t)
	}
	return all
}

// JudgeCanary decides where a release in PhaseCanary goes that has been sent for
// so long, holds left out; PhaseCanary: it waits. why says what was seen, where there is something
// to say. More than 5 in 100 failures other than 404 and
// 410 pause it. A push service that takes nothing (429, 5xx, silence) while
// another takes everything fails by itself: its lane waits, nobody else does.
func JudgeCanary(f *CanaryFigures, sending time.Duration) (to Phase, why string) {
	late := sending >= CanaryPatience
	size := CanarySize(f.Planned)
	switch {
	case f.Rows < Cells && late:
		return PhaseAll, "no canary: the plan took longer than it may wait"
	case f.Rows < Cells:
		return PhaseCanary, ""
	case size == 0: // as most alerts of a small place: nothing to tell anybody
		return PhaseAll, ""
	}
	total := f.Total()
	failing := total.Refused
	if !slices.ContainsFunc(tallies(f), CanaryTally.well) {
		failing += total.Troubled
	}
	switch {
	case 100*total.Refused > canaryFailing*size, (late || total.Answered() >= size) && 100*failing > canaryFailing*total.Answered():
		return PhasePaused, fmt.Sprintf("the canary: %d of the first %d devices failed", failing, max(total.Answered(), 1))
	case total.Answered() >= size:
		return PhaseAll, fmt.Sprintf("the canary went well: %d of %d accepted", total.Accepted, size)
	case late:
		return PhaseAll, fmt.Sprintf("the canary: %d of %d had answered in time", total.Answered(), size)
	}
	return PhaseCanary, ""
}

func tallies(f *CanaryFigures) []CanaryTally {
	all := make([]CanaryTally, 0, len(f.Tallies))
	for _, t := range f.Tallies {
		all = append(all, t)
	}
	return all
}

// MoveCanary takes what JudgeCanary decided: the phase moves, and a canary that
// went badly holds the alert. One that an editor has put on hold meanwhile stays
// in its canary and is judged again when it is resumed: its bad news would
// otherwise be lost under her hold.
func MoveCanary(a *Alert, to Phase, why string) (AlertAction, error) {
	if a.State != AlertSending {
		return AlertAction{}, stateError(a, "moved out of its canary")
	}
	action := AlertAction{Phase: to, By: SystemName, Detail: why}
	if why != "" {
		action.Audit = "canary"
	}
	if to == PhasePaused {
		a.HeldFrom, a.State, a.Reason = a.State, AlertHeld, why
		a.stopped(SystemName)
		action.Freeze = true
	}
	return action, nil
}

// CanaryDevices picks the canary out of the whole plan: the devices with the
// lowest hashes, by cell. rows are those of all cells; whoever computes it from
// the same plan picks the same.
func CanaryDevices(releaseID string, rows []*LedgerRow) map[int]*Numbers {
	planned := 0
	for _, r := range rows {
		planned += int(r.Planned.GetCardinality() - r.Held.GetCardinality())
	}
	var lowest canaries
	size, seed := CanarySize(planned), canarySeed(releaseID)
	for _, r := range rows {
		for it := roaring.AndNot(r.Planned, r.Held).Iterator(); size > 0 && it.HasNext(); {
			n := it.Next()
			c := canary{canaryHash(seed, r.Cell, n), r.Cell, n}
			if len(lowest) < size {
				heap.Push(&lowest, c)
			} else if c.hash < lowest[0].hash {
				lowest[0] = c
				heap.Fix(&lowest, 0)
			}
		}
	}
	out := map[int]*Numbers{}
	for _, c := range lowest {
		if out[c.cell] == nil {
			out[c.cell] = roaring.New()
		}
		out[c.cell].Add(c.number)
	}
	return out
}

type canary struct {
	hash   uint64
	cell   int
	number uint32
}

// canaries is a heap with the highest hash on top.
type canaries []canary

func (c canaries) Len() int           { return len(c) }
func (c canaries) Less(i, j int) bool { return c[i].hash > c[j].hash }
func (c canaries) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *canaries) Push(x any)        { *c = append(*c, x.(canary)) }

// Pop is what heap.Interface asks for.
func (c *canaries) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// canarySeed makes every release pick other devices.
func canarySeed(releaseID string) uint64 {
	sum := sha256.Sum256([]byte(releaseID))
	return binary.LittleEndian.Uint64(sum[:])
}

// canaryHash is the finaliser of SplitMix64 over seed and device: a permutation,
// so no two devices of a release have the same hash.
func canaryHash(seed uint64, cell int, number uint32) uint64 {
	x := seed + (uint64(cell)<<32|uint64(number))*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
