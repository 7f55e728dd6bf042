package dispatch

import (
	"testing"
	"time"

	"dateline/internal/news"
)

func TestHealth(t *testing.T) {
	ok := news.Receipt{Outcome: news.Accepted, Status: 201}
	down := news.Receipt{Outcome: news.Retry, Status: 503}
	silent := news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}
	slow := news.Receipt{Outcome: news.Retry, Status: 429, After: 30 * time.Second}
	wrong := news.Receipt{Outcome: news.Refused, Status: 403, Reason: "vapid"}
	apple := news.Receipt{Outcome: news.Refused, Status: 400, Reason: "vapid"}
	ended := news.Receipt{Outcome: news.Retry, Reason: "goaway"}
	ours := news.Receipt{Outcome: news.Retry, Reason: reasonStopped}
	type answers struct {
		n int
		r news.Receipt
	}
	for name, c := range map[string]struct {
		answers []answers
		workers int
		pause   time.Duration
	}{
		"fresh":                             {nil, 64, 0},
		"nineteen failures":                 {[]answers{{19, down}}, 64, 0},
		"down":                              {[]answers{{10, down}, {10, silent}}, 1, probeEvery},
		"back":                              {[]answers{{30, down}, {1, ok}}, 64, probeEvery},
		"connections end":                   {[]answers{{mostUnlooked - 1, ended}}, 64, 0},
		"all connections end":               {[]answers{{mostUnlooked + failuresToOpen, ended}}, 1, probeEvery},
		"our own stops":                     {[]answers{{500, ours}}, 64, 0},
		"a few 429s":                        {[]answers{{20, slow}, {80, ok}}, 64, 0},
		"many 429s, a good one last":        {[]answers{{21, slow}, {79, ok}}, 32, 30 * time.Second},
		"429s for long":                     {[]answers{{2000, slow}}, 1, 30 * time.Second},
		"and over":                          {[]answers{{100, slow}, {100, ok}}, 64, 30 * time.Second},
		"a wall":                            {[]answers{{100, wrong}}, 1, refusedPause},
		"Apple's wall":                      {[]answers{{100, apple}}, 1, refusedPause},
		"the wall falls":                    {[]answers{{100, wrong}, {1, ok}}, 64, refusedPause},
		"what was in flight counts no more": {[]answers{{163, wrong}, {1, ok}, {40, wrong}, {60, ok}}, 64, refusedPause},
		"half are wrong":                    {[]answers{{50, wrong}, {50, ok}}, 64, 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			var h health
			for _, a := range c.answers {
				for range a.n {
					h.note(a.r, now)
				}
			}
			if w, p := h.inFlight(64), h.pause(now); w != c.workers || p != c.pause {
				t.Errorf("%d in flight and a pause of %s, want %d and %s", w, p, c.workers, c.pause)
			}
			if h.pause(now.Add(time.Hour)) != 0 {
				t.Error("a pause without end")
			}
		})
	}
}

// After a wall has stood for its pause, one probe looks, and stands back again.
func TestAWallIsProbedByOne(t *testing.T) {
	now := time.Now()
	wrong := news.Receipt{Outcome: news.Refused, Status: 403}
	var h health
	for range judgedAnswers {
		h.note(wrong, now)
	}
	now = now.Add(refusedPause)
	if h.pause(now) != 0 || h.inFlight(64) != 1 {
		t.Fatal("no probe")
	}
	if h.note(wrong, now); h.pause(now) != refusedPause {
		t.Error("the probe was refused, and the next follows at once")
	}
}

// A worker of a lane that was forgotten, and had been handed a task just before,
// does not make the process forget the lane that took its place.
func TestARetiredLaneRetiresNoOther(t *testing.T) {
	l := newLanes(New(Config{}))
	old := l.lane(origin)
	l.retire(old)
	fresh := l.lane(origin)
	if l.retire(old); l.lane(origin) != fresh {
		t.Error("a service has two lanes: twice the workers, and half of what is known of its health")
	}
	if l.retire(fresh); l.lane(origin) == fresh {
		t.Error("the lane is not forgotten")
	}
}

// What was in flight when a wall was seen must not build it up again once a
// probe has come through.
func TestAWallThatFellStaysDown(t *testing.T) {
	wrong := news.Receipt{Outcome: news.Refused, Status: 403, Reason: "vapid"}
	ok := news.Receipt{Outcome: news.Accepted, Status: 201}
	now := time.Now()
	var h health
	for range 163 {
		h.note(wrong, now)
	}
	if h.standing() != standingRefusing {
		t.Fatalf("163 refusals leave it %s", h.standing())
	}
	now = now.Add(refusedPause)
	for range 500 {
		if h.pause(now) > 0 {
			t.Fatal("it pauses again although everything is accepted")
		}
		h.note(ok, now)
	}
	if h.standing() != standingWell {
		t.Errorf("it is %s", h.standing())
	}
}

// A service is given more at once only while that does not merely lengthen its queue.
func TestMoreAtOnceOnlyWhereItHelps(t *testing.T) {
	ok := news.Receipt{Outcome: news.Accepted, Status: 201}
	for name, c := range map[string]struct {
		takes func(n int) time.Duration
		want  int
	}{
		"far away": {func(int) time.Duration { return 200 * time.Millisecond }, mostFlights},
		"near":     {func(int) time.Duration { return time.Millisecond }, mostFlights},
		"paced":    {func(n int) time.Duration { return time.Duration(min(n, firstFlights)+1) * time.Millisecond }, firstFlights},
		"it fills up": {func(n int) time.Duration {
			if n < 300 { // 64, 128, 256, and then
				return 20 * time.Millisecond
			}
			return 60 * time.Millisecond
		}, 512},
	} {
		t.Run(name, func(t *testing.T) {
			var h health
			for n := range 2000 {
				h.time(c.takes(n))
				h.note(ok, time.Now())
			}
			if got := h.inFlight(mostFlights); got != c.want {
				t.Errorf("%d at once, want %d", got, c.want)
			}
		})
	}
}

// All that was in flight when a service asked us to slow down comes back with 429,
// and slows it down once.
func TestOneBurstOf429sSlowsOnce(t *testing.T) {
	var h health
	h.flights, h.peak = 1024, 1024
	sent := time.Now()
	slow := news.Receipt{Outcome: news.Retry, Status: 429}
	for n := range 1024 {
		if now := sent.Add(time.Duration(n) * time.Millisecond); !h.stale(slow, sent) {
			h.note(slow, now)
		}
	}
	if got := h.inFlight(mostFlights); got != 512 {
		t.Errorf("%d at once, want 512", got)
	}
}
