package audience

import (
	"time"

	"dateline/internal/news"
)

// QuietUntil is quietUntil for a reader's wishes.
func QuietUntil(w news.Wishes, now time.Time) (until time.Time, quiet bool) {
	if w.Quiet == nil {
		return time.Time{}, false
	}
	return quietUntil(*w.Quiet, zoneOf(w.Timezone), now)
}
