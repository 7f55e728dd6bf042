package app

import (
	"fmt"
	"strings"
	"time"
)

// Text is the report for a terminal.
func (r DrillReport) Text() string {
	var b strings.Builder
	line := func(words string, args ...any) { fmt.Fprintf(&b, words+"\n", args...) }
	line("DRILL report %s", r.ID)
	line("  from        %s, started by %s", r.StartedAt.Format("2006-01-02 15:04:05 MST"), r.StartedBy)
	line("  to          %s, %s", r.EndedAt.Format("15:04:05 MST"), r.How)
	line("  with        %d simulated devices, services %s", r.Devices, r.Services)
	line("  reached     its own services over %d connections; %d to elsewhere were tried", r.Connections, r.Refused)
	for _, s := range r.Stories {
		line("  story       %s  %s (by %s)", s.At.Format(time.TimeOnly), s.Headline, s.By)
	}
	for _, a := range r.Alerts {
		line("")
		line("  %s, %s: %s", a.Level, a.State, a.Title)
		for _, s := range a.Steps {
			line("    %s  %+8.2f s  %-13s  %s%s", s.At.Format("15:04:05.000"), s.Seconds, s.Action, s.By, because(s.Detail))
		}
		for _, s := range a.Spans {
			line("    %-45s %s", s.What, s.Took())
		}
		for _, x := range a.Releases {
			line("    %-10s revision %d: intended %d, accepted %d, at the services %d (%s), held %d, gone %d, failed %d, in doubt %d, cancelled %d, pending %d",
				x.Kind, x.Revision, x.Intended, x.Accepted, x.AtServices, agreement(x.Agrees), x.Held, x.Gone, x.Failed, x.Ambiguous, x.Cancelled, x.Pending)
			line("               first %s, 50 %% %s, 90 %% %s, 99 %% %s", secondsOf(x.First), secondsOf(x.P50), secondsOf(x.P90), secondsOf(x.P99))
		}
	}
	line("")
	for _, p := range r.People {
		line("  %-11s %s", p.Name, p.Took())
	}
	if len(r.NotRehearsed) > 0 {
		line("  not done    %s", strings.Join(r.NotRehearsed, "; "))
	}
	for _, f := range r.Faults {
		line("  FAULT       %s", f)
	}
	if len(r.Faults) == 0 {
		line("  no faults")
	}
	return b.String()
}

// stops reports whether the span is from a stop to what still started after it.
func (s DrillSpan) stops() bool {
	return s.What == spanUndo || s.What == spanHold || s.What == spanKill
}

// Took is the span in words. Where a stop was pressed, 0 is the best there is.
func (s DrillSpan) Took() string {
	if s.Seconds == 0 && s.stops() {
		return "none started"
	}
	return fmt.Sprintf("%.2f s", s.Seconds)
}

func because(detail string) string {
	if detail == "" {
		return ""
	}
	return " (" + detail + ")"
}

func agreement(agrees bool) string {
	if agrees {
		return "agrees"
	}
	return "DOES NOT AGREE"
}

// Within is secondsOf for the report's pages.
func (DrillRelease) Within(s *float64) string { return secondsOf(s) }

// secondsOf is a span as the report prints it; nil: a dash.
func secondsOf(s *float64) string {
	if s == nil {
		return "—"
	}
	return fmt.Sprintf("%.2f s", *s)
}
