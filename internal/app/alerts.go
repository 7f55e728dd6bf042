package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"

	"dateline/internal/desk"
	"dateline/internal/news"
)

// AlertStep is one of the steps the command line may take on an alert.
type AlertStep string

// The steps.
const (
	AlertHold   AlertStep = "hold"
	AlertResume AlertStep = "resume"
	AlertCancel AlertStep = "cancel"
	AlertKill   AlertStep = "kill"
	AlertShow   AlertStep = "show"
)

// AlertPress is one step on an alert, as it was typed.
type AlertPress struct {
	Step   AlertStep
	ID     string
	Reason string // for the record; a kill needs one
	By     string // who says so; "": the user of the shell
}

// check wants a reason where there must be one: the trail is read when somebody
// asks why readers were told that it was not so.
func (p AlertPress) check() error {
	if p.Step == AlertKill && !news.Visible(p.Reason) {
		return news.Invalid("--reason", `is required, for the record; nothing was done. Type: dateline alert kill %s --reason "why it is taken back"`, p.ID)
	}
	return nil
}

// who acts with the rights of the system: whoever may read the keys may stop an
// alert. The trail says in whose shell, and whose word it was.
func (p AlertPress) who() news.Person {
	by := news.Person{Name: news.SystemName, System: true, Through: shellUser() + " on the command line"}
	if name := news.CleanLine(p.By); news.Visible(name) {
		by.Through = name + ", as " + by.Through
	}
	return by
}

// shellUser names who typed: behind sudo the person, not root.
func shellUser() string {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if person := os.Getenv("SUDO_USER"); person != "" && person != name {
		name = person + " (sudo)"
	}
	return news.CleanLine(name)
}

// StepAlert takes the step as the system, also when the site is down.
func StepAlert(ctx context.Context, cfg *Config, p AlertPress, out io.Writer) error {
	if err := p.check(); err != nil {
		return err
	}
	return withDesk(ctx, cfg, func(d *desk.Service, _ desk.Newsroom) error {
		var v desk.View
		var err error
		switch p.Step {
		case AlertHold:
			v, err = d.Hold(ctx, p.who(), p.ID, p.Reason)
		case AlertResume:
			v, err = d.Resume(ctx, p.who(), p.ID)
		case AlertCancel:
			v, err = d.Cancel(ctx, p.who(), p.ID, p.Reason)
		case AlertKill:
			v, err = d.Kill(ctx, p.who(), p.ID, p.Reason)
		default:
			v, err = d.Alert(ctx, p.ID)
		}
		if errors.Is(err, news.ErrNotFound) {
			return fmt.Errorf("there is no alert %s; `dateline alert list` names the newest", p.ID)
		}
		if err != nil {
			return err
		}
		c := counts(v)
		state := string(v.Alert.State)
		if p.Step == AlertResume && v.Alert.State == news.AlertApproved {
			state += " and waits to be released" // it was held during its countdown
		}
		_, err = fmt.Fprintf(out, "alert %s is %s: %d intended, %d accepted, %d pending, %d held, %d cancelled\n",
			v.Alert.ID, state, c.Intended, c.Accepted, c.Pending, c.Held, c.Cancelled)
		return err
	})
}

// ListAlerts prints the newest alerts: id, state, level, devices it was accepted
// for of those it is meant for, story and title.
func ListAlerts(ctx context.Context, cfg *Config, out io.Writer) error {
	return withDesk(ctx, cfg, func(d *desk.Service, _ desk.Newsroom) error {
		views, err := d.Newest(ctx)
		if err != nil {
			return err
		}
		if len(views) == 0 {
			_, err := fmt.Fprintln(out, "no alerts yet")
			return err
		}
		for _, v := range views {
			c := counts(v)
			if _, err := fmt.Fprintf(out, "%s  %-9s %-8s  %11s  %s  %s\n", v.Alert.ID, v.Alert.State, v.Alert.Level,
				fmt.Sprintf("%d of %d", c.Accepted, c.Intended), v.Alert.StoryURI, v.Alert.Texts[v.Alert.Language].Title); err != nil {
				return err
			}
		}
		return nil
	})
}

// counts are those of an alert's first release.
func counts(v desk.View) news.Counts {
	if v.First == nil {
		return news.Counts{}
	}
	return v.First.Figures.Counts
}
