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
	look, beat := time.NewTicker(watchEvery), time.NewTicker(streamBeat)
	defer look.Stop()
	defer beat.Stop()
	if err := p.push(w, ": the alert\nretry: 1000\n\n"); err != nil {
		return nil //nolint:nilerr // the page is gone
	}
	for sent := map[string]string{}; ; {
		for _, block := range []struct {
			name string
			now  func(ctx context.Context, id string) (string, error)
		}{{"status", p.statusNow}, {"chart", p.chartNow}} {
			html, err := block.now(r.Context(), r.PathValue("id"))
			if err != nil {
				p.log.Warn("a live alert can't be read; the page comes back by itself", "error", err)
				return nil
			}
			if html == sent[block.name] {
				continue
			}
			sent[block.name] = html
			if err := p.push(w, event(block.name, momentID(p.now()), html)); err != nil {
				return nil //nolint:nilerr // the page is gone
			}
		}
		if !p.wait(w, r, nil, look.C, beat.C) {
			return nil
		}
	}
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
	here, err := p.progresses.get(v.First.Release.ID, func() (Progress, error) {
		return p.progress(context.WithoutCancel(ctx), v.First.Release.ID)
	})
	if err != nil {
		p.log.Warn("an alert's progress by push service and place can't be counted", "alert", v.Alert.ID, "error", err)
		return chartOf(v, nil)
	}
	return chartOf(v, &here)
}

func (p *Pages) renderStatus(ctx context.Context, id string) (string, error) {
	_, _, status, err := p.lookAt(ctx, id)
	if err != nil {
		return "", err
	}
	return p.floor.Part("desk/alert", "status", status)
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
