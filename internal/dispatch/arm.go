package dispatch

import (
	"context"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// This file makes keys while nothing goes out, so that a send does not have to:
// ECDH is 46 of the 49 µs that sealing takes.

const (
	// armBatch keys are made between two looks at whether something goes out: 16
	// of 60 µs are 1 ms.
	armBatch = 16
	// armShare is what of one processor's time arming takes: a quarter. More of it
	// was felt: with all of one of two processors, sign-ups beside Postgres took a
	// p99 of 300 ms. A million devices are armed in eight minutes.
	armShare = 4
	// armCrowded times the quickest key is what one takes that had to share the
	// processor; then arming rests armYield times as long as it worked.
	armCrowded = 2
	armYield   = 20
	// armQuiet is how long nothing has gone out when arming goes on.
	armQuiet = 500 * time.Millisecond
	// armLooked devices are looked at, at most, between two such looks: 1,024 take
	// less than 1 ms. A cell of which one device changed is looked through whole, so
	// without a bound, and a rest after it, sign-ups alone would keep this busy.
	armLooked  = 1024
	armNothing = 10 * time.Millisecond
	// armLook is how often it is looked whether what goes out is over.
	armLook = 100 * time.Millisecond
	// armRest is the wait when every device is armed.
	armRest = time.Second
)

// armedCell is how a cell was when all its devices had been looked at.
type armedCell struct {
	state cellState
	taken int64
}

// armourer arms the devices of this process, cell by cell, the slot of the next
// alert before that of its repair. One goroutine's.
type armourer struct {
	done map[[2]int]armedCell // by slot and cell
	cell int                  // where it is
	slot push.Slot
	next uint32 // number
	from armedCell

	quickest time.Duration // a key was ever made in
}

func newArmourer() *armourer { return &armourer{done: map[[2]int]armedCell{}} }

// armLoop arms whenever nothing goes out, until ctx ends.
func (s *Service) armLoop(ctx context.Context) error {
	a := newArmourer()
	for {
		wait := armLook
		if began := time.Now(); !s.busy() {
			switch made, more := s.armSome(a); {
			case !more:
				wait = armRest
			case made == 0:
				wait = armNothing
			default:
				wait = a.rest(time.Since(began), made)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// rest is how long to rest after a batch of so many keys: longer, where it took so
// long that others must have wanted the processor.
func (a *armourer) rest(took time.Duration, made int) time.Duration {
	each := took / time.Duration(made)
	if a.quickest == 0 || each < a.quickest {
		a.quickest = each
	}
	if each > armCrowded*a.quickest {
		return armYield * took
	}
	return (armShare - 1) * took
}

// armSome makes a batch of keys, says how many, and whether there may be more to
// make.
func (s *Service) armSome(a *armourer) (made int, more bool) {
	h := s.held.list()
	for looked := 0; made < armBatch && looked < armLooked; looked++ {
		if !a.find(h, s) {
			return made, false
		}
		cell := s.audience.Cell(a.cell)
		number, to, ok := cell.NextTarget(a.next)
		if !ok {
			a.done[[2]int{int(a.slot), a.cell}] = a.from
			a.cell, a.next = a.cell+1, 0
			continue
		}
		a.next = number + 1
		if s.arm(a.cell, number, a.slot, push.Target{Endpoint: to.Endpoint, P256dh: to.P256dh, Auth: to.Auth}) {
			made++
		}
	}
	return made, true
}

// arm makes a device's key, where it lacks one.
func (s *Service) arm(cell int, number uint32, slot push.Slot, to push.Target) (made bool) {
	if !s.quiver.Lacks(cell, number, slot, to) {
		return false
	}
	if key, err := push.Arm(to); err == nil { // keys that no message can be sealed for: its send will say so
		s.quiver.Put(cell, number, slot, key)
	}
	return true
}

// find goes to the next cell that is not as it was when it was done; false when all
// are.
func (a *armourer) find(h holding, s *Service) bool {
	for range 2 * news.Cells * int(push.Slots) {
		if a.cell >= news.Cells {
			a.cell, a.next, a.slot = 0, 0, (a.slot+1)%push.Slots
		}
		fence, held := h.fences[a.cell]
		now := armedCell{cellState{s.audience.Cell(a.cell).Change(), fence}, s.quiver.Taken(a.cell, a.slot)}
		if held && a.next > 0 {
			return true // under way
		}
		if held && a.done[[2]int{int(a.slot), a.cell}] != now {
			a.from = now
			return true
		}
		if !held { // another process's now; here, so that no batch under way puts a key back
			s.quiver.Forget(a.cell)
		}
		a.cell, a.next = a.cell+1, 0
	}
	return false
}

// Armed is how many keys are ready, for the next alert and for its repair.
func (s *Service) Armed() (alert, repair int) {
	return s.quiver.Armed(push.SlotAlert), s.quiver.Armed(push.SlotRepair)
}

// takeKey takes the key that was made for a message, if there is one; else the sender
// makes one.
func (s *Service) takeKey(t task, to push.Target, key *push.ArmedKey) bool {
	slot := push.SlotAlert
	if t.cell.run.release.Repair() {
		slot = push.SlotRepair
	}
	k, ok := s.quiver.Take(t.cell.row.Cell, t.number, slot, to)
	if ok {
		*key = k
		s.figures.Armed.Add(1)
	}
	return ok
}

// stir notes that something goes out, or is about to.
func (s *Service) stir() { s.stirred.Store(int64(time.Since(s.began))) }

// Busy reports whether an alert went out of this process a moment ago: whoever shares the
// machine with it then holds back.
func (s *Service) Busy() bool { return s.busy() }

// busy reports whether something went out lately. What merely waits, for a push
// service that is down or for somebody's morning, is no reason not to arm.
func (s *Service) busy() bool {
	at := s.stirred.Load()
	return at > 0 && time.Since(s.began)-time.Duration(at) < armQuiet
}
