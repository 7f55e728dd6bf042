package app

import (
	"context"
	"fmt"
	"time"

	"dateline/internal/news"
)

// patience is how the scripts of demo and drill wait for what other parts of
// the program do: they ask again every so often, and at each nudge.
type patience struct {
	every time.Duration
	most  time.Duration
	nudge <-chan struct{} // nil: none
}

// until asks until it is done or failed; after all patience,
// news.ErrUnavailable.
func (p patience) until(ctx context.Context, done func() (bool, error)) error {
	limit, tick := time.After(p.most), time.NewTicker(p.every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return fmt.Errorf("%w: not done within %s", news.ErrUnavailable, p.most)
		case <-p.nudge:
		case <-tick.C:
		}
	}
}
