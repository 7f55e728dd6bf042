package dispatch

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"dateline/internal/push"
)

// ArmAll makes every key that is missing, with all processors and without regard for
// what goes out: for measurements, and for who knows that an alert is near. It calls
// tell now and then with the keys made.
func (s *Service) ArmAll(ctx context.Context, tell func(made int)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, cell := range s.held.list().cells {
		group.Go(func() error {
			made := 0
			for slot := range push.Slots {
				made += s.armCell(ctx, cell, slot)
			}
			tell(made)
			return ctx.Err()
		})
	}
	return group.Wait()
}

// armCell makes the keys that a cell lacks in a slot.
func (s *Service) armCell(ctx context.Context, cell int, slot push.Slot) (made int) {
	next := uint32(0)
	for ctx.Err() == nil {
		number, to, ok := s.audience.Cell(cell).NextTarget(next)
		if !ok {
			break
		}
		next = number + 1
		if s.arm(cell, number, slot, push.Target{Endpoint: to.Endpoint, P256dh: to.P256dh, Auth: to.Auth}) {
			made++
		}
	}
	return made
}
