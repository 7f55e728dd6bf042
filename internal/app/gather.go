package app

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
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

// respond answers the others' questions, one at a time: while one is counted, others
// are not answered, and who asks the same within a second is told the same. Else a
// desk that is watched by many would keep the processors from the alert it watches.
func respond[Q, A any](bus asks, topic, holder string, answer func(context.Context, Q) (A, error)) (cancel func(), err error) {
	var counting sync.Mutex
	var last struct {
		question, answer string
		at               time.Time
	}
	return bus.OnAsk(topic, func(raw []byte) []byte {
		var q asked[Q]
		if json.Unmarshal(raw, &q) != nil || q.From == holder || !counting.TryLock() {
			return nil
		}
		defer counting.Unlock()
		if last.question == string(raw) && time.Since(last.at) < gatherFresh {
			return []byte(last.answer)
		}
		ctx, cancel := context.WithTimeout(context.Background(), gatherWait)
		defer cancel()
		a, err := answer(ctx, q.Question)
		if err != nil {
			return nil // who asked goes without us, and says so
		}
		text, err := json.Marshal(a)
		if err != nil {
			return nil
		}
		last.question, last.answer, last.at = string(raw), string(text), time.Now()
		return text
	})
}

// gatherFresh is how long an answer is given again.
const gatherFresh = time.Second

// errNotOurs keeps a process that was frozen from speaking for cells that are
// another's by now.
var errNotOurs = errors.New("no lease is current")

// whomReached is what is asked about an alert: what decides whom it reaches, and
// nothing of its words, which may not be published yet.
type whomReached struct {
	Story, Language, Audience string
	Languages, Sections       []string
	Level                     news.Level
	Final                     bool
}

func whomOf(a news.Alert) whomReached {
	return whomReached{Story: a.StoryURI, Language: a.Language, Audience: a.Audience, Languages: slices.Sorted(maps.Keys(a.Texts)),
		Sections: a.Sections, Level: a.Level, Final: a.Final}
}

func (w whomReached) alert() news.Alert {
	a := news.Alert{StoryURI: w.Story, Language: w.Language, Audience: w.Audience, Sections: w.Sections, Level: w.Level, Final: w.Final,
		Texts: map[string]news.Text{}}
	for _, language := range w.Languages {
		a.Texts[language] = news.Text{}
	}
	return a
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
	noReach, err := respond(a.bus, topicReach, a.holder, func(_ context.Context, w whomReached) (desk.Reach, error) {
		if !a.dispatch.Holds() {
			return desk.Reach{}, errNotOurs
		}
		return reach(w.alert()), nil
	})
	if err != nil {
		return err
	}
	noProgress, err := respond(a.bus, topicProgress, a.holder, func(ctx context.Context, release string) (desk.Progress, error) {
		if !a.dispatch.Holds() {
			return desk.Progress{}, errNotOurs
		}
		return progress(ctx, release)
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
		err := gather(context.Background(), a.bus, topicReach, a.holder, whomOf(alert), func(r desk.Reach) bool {
			if fits(all.Cells, r.Cells) {
				all.Add(r)
			}
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
		err = gather(ctx, a.bus, topicProgress, a.holder, release, func(p desk.Progress) bool {
			if fits(all.Cells, p.Cells) {
				all.Add(p)
			}
			return all.Cells >= news.Cells
		})
		if err != nil {
			a.log.Warn("the other processes can't be asked how far an alert has come", "component", "app", "error", err)
		}
		return all, ctx.Err()
	}
}

// fits reports whether an answer about so many cells can be true beside the others:
// a cell that moves may be counted by both of its holders for a moment.
func fits(known, more int) bool { return more > 0 && known+more <= news.Cells }
