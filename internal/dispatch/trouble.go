package dispatch

import (
	"log/slog"
	"time"
)

// complainEvery is how often a trouble that lasts is logged: loops meet it
// several times a second.
const complainEvery = 10 * time.Second

// trouble logs the errors of one loop, each new one at once and one that lasts
// now and then.
type trouble struct {
	text string
	at   time.Time
}

func (t *trouble) warn(log *slog.Logger, what string, err error) {
	if text := err.Error(); text != t.text || time.Since(t.at) >= complainEvery {
		t.text, t.at = text, time.Now()
		log.Warn(what, "err", err)
	}
}
