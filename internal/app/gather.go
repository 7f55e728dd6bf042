package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"dateline/internal/desk"
	"dateline/internal/news"
)

// This file gathers what the desk shows from all processes that hold cells: each
// counts its own.

// gatherWait is how long the others are waited for: counting a million devices takes
// some milliseconds, and who does not answer by now is busy or gone. What is missing
// the desk says.
const gatherWait = 400 * time.Millisecond

// asked is a question to the others.
type asked[Q any] struct {
	From     string // a holder, who does not answer itself
	Question Q
}

// asks is the bus's.
type asks interface {
	Ask(ctx context.Context, topic string, question []byte, take func(answer []byte) (enough bool)) error
	OnAsk(topic string, answer func(question []byte) []byte) (cancel func(), err error)
}

// gather asks all others and hands over their answers; take says when it has enough.
func gather[Q, A any](ctx context.Context, bus asks, topic, holder string, question Q, take func(A) (enough bool)) error {
	ctx, cancel := context.WithTimeout(ctx, gatherWait)
	defer cancel()
	text, err := json.Marshal(asked[Q]{holder, question})
	if err != nil {
		return err
	}
	return bus.Ask(ctx, topic, text, func(raw []byte) bool {
		var answer A
		return json.Unmarshal(raw, &answer) == nil && take(answer)
	})
}

// respond answers the others' questions.
func respond[Q, A any](bus asks, topic, holder string, answer func(Q) (A, error)) (cancel func(), err error) {
	return bus.OnAsk(topic, func(raw []byte) []byte {
		var q asked[Q]
		if json.Unmarshal(raw, &q) != nil || q.From == holder {
			return nil
		}
		a, err := answer(q.Question)
		if err != nil {
			return nil // who asked goes without us, and says so
		}
		text, err := json.Marshal(a)
		if err != nil {
			return nil
		}
		return text
	})
}

// Topics of questions.
const (
	topicReach    = "reach"
	topicProgress = "progress"
)

// answerOthers lets the other processes ask for what is counted here.
func (a *App) answerOthers() error {
	if !a.cfg.Has(RoleDispatch) {
		return nil
	}
	reach, progress := reachOf(a.dispatch), watcherOf(a.dispatch)
	noReach, err := respond(a.bus, topicReach, a.holder, func(alert news.Alert) (desk.Reach, error) { return reach(alert), nil })
	if err != nil {
		return err
	}
	noProgress, err := respond(a.bus, topicProgress, a.holder, func(release string) (desk.Progress, error) {
		return progress(context.Background(), release)
	})
	if err != nil {
		noReach()
		return err
	}
	a.onClose("answers to other processes", func() error { noReach(); noProgress(); return nil })
	return nil
}

// reacher counts whom an alert would reach by the very matcher that will plan it,
// over the cells of this process and of all others.
func (a *App) reacher() desk.Reacher {
	own := func(news.Alert) desk.Reach { return desk.Reach{} }
	if a.cfg.Has(RoleDispatch) {
		own = reachOf(a.dispatch)
	}
	return func(alert news.Alert) desk.Reach {
		all := own(alert)
		if all.Cells >= news.Cells {
			return all
		}
		err := gather(context.Background(), a.bus, topicReach, a.holder, alert, func(r desk.Reach) bool {
			all.Add(r)
			return all.Cells >= news.Cells
		})
		if err != nil {
			a.log.Warn("the other processes can't be asked whom an alert would reach", "component", "app", "error", err)
		}
		return all
	}
}

// watcher counts how far a release has come, in the cells of this process and of all
// others.
func (a *App) watcher() desk.Watcher {
	own := func(context.Context, string) (desk.Progress, error) { return desk.Progress{}, nil }
	if a.cfg.Has(RoleDispatch) {
		own = watcherOf(a.dispatch)
	}
	return func(ctx context.Context, release string) (desk.Progress, error) {
		all, err := own(ctx, release)
		if err != nil || all.Cells >= news.Cells {
			return all, err
		}
		asking := gather(ctx, a.bus, topicProgress, a.holder, release, func(p desk.Progress) bool {
			all.Add(p)
			return all.Cells >= news.Cells
		})
		return all, errors.Join(asking, ctx.Err())
	}
}
