package desk

import (
	"strings"
	"testing"

	"dateline/internal/news"
)

// The page says that the first few decide, while they do and after they went
// badly, and then no more.
func TestStatusOfTheCanary(t *testing.T) {
	for _, c := range []struct {
		state news.AlertState
		phase news.Phase
		want  string
	}{
		{news.AlertSending, news.PhaseCanary, "Going out to the first few."},
		{news.AlertSending, news.PhaseAll, "Going out now."},
		{news.AlertSending, news.PhasePaused, "Going out now."},
		{news.AlertHeld, news.PhaseCanary, "On hold:"},
		{news.AlertHeld, news.PhasePaused, "Paused: the first few went badly."},
		{news.AlertSent, news.PhaseAll, "Has gone to everybody"},
	} {
		v := View{Alert: news.Alert{State: c.state}, First: &Sent{Release: news.Release{Phase: c.phase}}}
		if got := statusOf(v, &news.Story{Regions: []string{"JP"}}).Says; !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, %s: %q", c.state, c.phase, got)
		}
	}
}
