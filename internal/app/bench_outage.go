package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dateline/internal/news"
)

// healthy are the services that are well throughout: the first two of four.
const healthy = 2

// outage measures alerts in pairs: while all services are well, and while one of
// four hangs and another answers 429 to everything.
func (b *benchPush) outage(ctx context.Context) error {
	progress := NewProgress(b.benchRoom.Out, "pairs of alerts")
	defer progress.Done()
	var ratios []float64
	for i := range b.Pairs {
		if _, _, err := b.alert(ctx, "settling"); err != nil { // every service is known to be well, and every connection open
			return err
		}
		well, err := b.untilHealthy(ctx, "all well", true)
		if err != nil {
			return err
		}
		down, err := b.untilHealthy(ctx, "one hangs, one answers 429", false)
		if err != nil {
			return err
		}
		well.Baseline = true
		b.report.Rows = append(b.report.Rows, well, down)
		ratios = append(ratios, float64(down.Wall)/float64(well.Wall))
		progress.Set(int64(i+1), int64(b.Pairs))
	}
	slices.Sort(ratios)
	b.report.Ratios = append(b.report.Ratios, Ratio{Of: "all well", To: "one hangs, one answers 429", Wall: ratios[len(ratios)/2],
		Remarks: fmt.Sprintf("median of %d pairs (%.2f to %.2f), until 99 %% of the devices of each of the two healthy services are accepted", len(ratios), ratios[0], ratios[len(ratios)-1])})
	return nil
}

// untilHealthy measures one alert until the healthy services have accepted 99 % of
// theirs. Then the alert ends: by itself where all are well, else by hand, so that
// the next one finds nothing under way.
func (b *benchPush) untilHealthy(ctx context.Context, name string, well bool) (BenchRow, error) {
	each := b.Devices / outageServices // devices are dealt out in turn
	orders := []string{"well", fmt.Sprintf("expect %d", (each*99+99)/100)}
	if !well {
		orders = append(orders, fmt.Sprintf("hang %d", healthy), fmt.Sprintf("throttle %d", healthy+1))
	}
	for _, order := range orders {
		if _, err := b.services.tell(ctx, order); err != nil {
			return BenchRow{}, err
		}
	}
	accepted := b.app.dispatch.Figures().Accepted.Load()
	m := startMeter()
	uri, err := b.publish(ctx, 2)
	if err != nil {
		return BenchRow{}, err
	}
	var last time.Time
	err = b.until(ctx, func() (bool, error) {
		t, err := b.services.tell(ctx, "")
		if err != nil || slices.ContainsFunc(t.Reached[:healthy], time.Time.IsZero) {
			return false, err
		}
		last = slices.MaxFunc(t.Reached[:healthy], time.Time.Compare)
		return true, nil
	})
	row := m.row(name, each*healthy)
	if err != nil {
		return row, fmt.Errorf("%s: the healthy services have not accepted theirs: %w", name, err)
	}
	// The processor worked for the others' devices, too: that compares to nothing.
	row.Wall, row.CPU, row.Allocs = last.Sub(m.at), 0, 0
	if well {
		return row, b.until(ctx, func() (bool, error) {
			a, err := b.alertOf(ctx, uri)
			return a.State == string(news.ReleaseSent) && a.Counts.Accepted >= b.Devices, err
		})
	}
	row.Remarks = fmt.Sprintf("%d accepted when it was cancelled", b.app.dispatch.Figures().Accepted.Load()-accepted)
	return row, b.callOff(ctx, uri)
}

// callOff holds and cancels an alert that can't end, and makes all well again.
func (b *benchPush) callOff(ctx context.Context, uri string) error {
	a, err := b.alertOf(ctx, uri)
	if err != nil {
		return err
	}
	for _, step := range []string{"hold", "cancel"} {
		if err := b.call(ctx, "POST", "/api/v1/alerts/"+a.ID+"/"+step, map[string]any{}, nil); err != nil {
			return errors.Join(fmt.Errorf("the alert can't be called off"), err)
		}
	}
	_, err = b.services.tell(ctx, "well")
	return err
}
