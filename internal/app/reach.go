package app

import (
	"context"

	"dateline/internal/audience"
	"dateline/internal/desk"
	"dateline/internal/dispatch"
	"dateline/internal/news"
)

// reachOf counts over the devices of one dispatcher.
func reachOf(d *dispatch.Service) desk.Reacher {
	return func(alert news.Alert) desk.Reach {
		r := d.Reach(context.Background(), &alert)
		out := desk.Reach{Devices: r.Devices, Held: r.Held, Woken: r.Woken, Unreachable: r.Quarantined, Capped: r.Reasons[audience.Capped],
			AlreadySent: r.Reasons[audience.AlreadySent], Regions: r.Regions, Languages: r.Texts, Hours: r.Hours, Services: map[desk.PushService]int{},
			SentHour: r.SentHour, SentDay: r.SentDay, RecentAt: r.RecentAt, Here: r.Here, Cells: r.Cells}
		out.Armed, _ = d.Armed()
		for s, n := range r.Services {
			out.Services[pushService(s)] += n
		}
		for _, o := range r.Recent {
			out.Recent = append(out.Recent, desk.Overlap{AlertID: o.AlertID, Title: o.Title, Level: o.Level, At: o.ReleasedAt, Devices: o.Devices})
		}
		return out
	}
}

// watcherOf counts in the cells of this dispatcher.
func watcherOf(d *dispatch.Service) desk.Watcher {
	watch := dispatch.NewWatch(d)
	return func(ctx context.Context, releaseID string) (desk.Progress, error) {
		p, err := watch.Progress(ctx, releaseID)
		return desk.Progress(p), err
	}
}

func pushService(s audience.Service) desk.PushService {
	switch s {
	case audience.ServiceGoogle:
		return desk.PushGoogle
	case audience.ServiceApple:
		return desk.PushApple
	case audience.ServiceMozilla:
		return desk.PushMozilla
	case audience.ServiceMicrosoft:
		return desk.PushMicrosoft
	}
	return desk.PushOther
}
