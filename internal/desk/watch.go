package desk

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"dateline/internal/news"
)

// watchEvery is how often an open alert page is compared with the store: the
// ledger is written about as often.
const watchEvery = 300 * time.Millisecond

// getAlertEvents streams the blocks "status" and "chart" of an alert whenever
// they change.
func (p *Pages) getAlertEvents(w http.ResponseWriter, r *http.Request) error {
	opened := time.Now()
	look, beat := time.NewTicker(watchEvery), time.NewTicker(streamBeat)
	defer look.Stop()
	defer beat.Stop()
	if err := p.push(w, ": the alert\nretry: 1000\n\n"); err != nil {
		return nil //nolint:nilerr // the page is gone
	}
	sent := map[string]string{}
	for rest := (rest{}); ; {
		if !rest.over(r.Context(), p) {
			if !p.wait(w, r, nil, look.C, beat.C) {
				return nil
			}
			continue
		}
		status, err := p.statusNow(r.Context(), opened, r.PathValue("id"))
		chart := ""
		if err == nil {
			chart, err = p.chartNow(r.Context(), r.PathValue("id"))
		}
		if err != nil {
			p.log.Warn("a live alert can't be read; the page comes back by itself", "error", err)
			return nil
		}
		for _, block := range []struct{ name, html string }{{"status", status.html}, {"chart", chart}} {
			if block.html == sent[block.name] {
				continue
			}
			sent[block.name] = block.html
			if err := p.push(w, event(block.name, momentID(p.now()), block.html)); err != nil {
				return nil //nolint:nilerr // the page is gone
			}
		}
		if status.final {
			rest.until = time.Now().Add(restFor)
		}
		if !p.wait(w, r, nil, look.C, beat.C) {
			return nil
		}
	}
}

// restFor is how long the page of an alert that is over is left alone, while
// nobody does anything: each look adds up its whole ledger.
const restFor = 5 * time.Second

// rest is what a page does when its alert is over: until the trail has a new line
// or some time has passed, nothing is read of it.
type rest struct {
	until time.Time
	line  int64 // the newest of the trail at the last look
}

// over reports whether it is time to look. A trail that can't be read is a reason
// to.
func (s *rest) over(ctx context.Context, p *Pages) bool {
	if s.until.IsZero() {
		return true
	}
	line, err := p.wire.store.LastChange(ctx)
	if err == nil && line == s.line && time.Now().Before(s.until) {
		return false
	}
	s.line, s.until = line, time.Time{}
	return true
}

// chartNow is the block "chart" of the alert, "" before its release.
func (p *Pages) chartNow(ctx context.Context, id string) (string, error) {
	return p.charts.get(id, func() (string, error) {
		v, err := p.desk.Alert(ctx, id)
		if err != nil || v.First == nil {
			return "", err
		}
		return p.floor.Part("desk/alert", "chart", p.chart(ctx, v))
	})
}

// chart draws the alert as it is. Who can't count by push service and place
// shows the rest.
func (p *Pages) chart(ctx context.Context, v View) *chartView {
	if v.First == nil || p.progress == nil {
		return chartOf(v, nil)
	}
	kept := p.progresses
	if v.final() { // counted once more after the last change, and then seldom: who holds the cells may change
		kept = p.finals
	}
	here, err := kept.get(v.First.Release.ID, func() (Progress, error) {
		return p.progress(context.WithoutCancel(ctx), v.First.Release.ID)
	})
	if err != nil {
		p.log.Warn("an alert's progress by push service and place can't be counted", "alert", v.Alert.ID, "error", err)
		return chartOf(v, nil)
	}
	return chartOf(v, &here)
}

func (p *Pages) renderStatus(ctx context.Context, id string) (watched, error) {
	v, _, status, err := p.lookAt(ctx, id)
	if err != nil {
		return watched{}, err
	}
	html, err := p.floor.Part("desk/alert", "status", status)
	return watched{html, v.final()}, err
}

// lookAt reads an alert with its story and how it stands.
func (p *Pages) lookAt(ctx context.Context, id string) (v View, story news.Story, s statusView, err error) {
	if v, err = p.desk.Alert(ctx, id); err != nil {
		return v, story, s, err
	}
	if story, err = p.desk.store.Story(ctx, v.Alert.StoryURI); err != nil {
		return v, story, s, fmt.Errorf("desk: story of alert %s: %w", id, err)
	}
	alerts, err := p.desk.store.AlertsOfStory(ctx, story.URI)
	if err != nil {
		return v, story, s, fmt.Errorf("desk: other alerts than %s of its story: %w", id, err)
	}
	alerts = slices.DeleteFunc(alerts, func(a news.Alert) bool { return a.ID == id || !unreleased(&a) })
	policyOf, err := p.desk.policyOf(ctx)
	if err != nil {
		return v, story, s, err
	}
	s = statusOf(v, &story).under(policyOf)
	if unreleased(&v.Alert) {
		room, err := p.desk.store.Room(ctx, v.Alert.Level)
		if err != nil {
			return v, story, s, fmt.Errorf("desk: what the cap leaves: %w", err)
		}
		if s.Room = room.Cap.String(); room.Full(p.desk.now()) {
			s.Room += " full"
		}
	}
	s.Others = alerted(alerts, nil)
	return v, story, s, nil
}
