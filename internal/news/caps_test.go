package news

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseCaps(t *testing.T) {
	for in, want := range map[string]Caps{
		"flash=1/2":                   {LevelFlash: {1, 2}, LevelBulletin: {}},
		" flash = 3/8 ,bulletin=none": {LevelFlash: {3, 8}, LevelBulletin: {}},
		"none":                        {LevelFlash: {}, LevelBulletin: {}},
	} {
		if got, err := ParseCaps(in); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"flash", "flash=3", "notice=1/2", "flash=0/0", "flash=-1/2", "flash=9/3", "flash=3/8;bulletin=1/2", "urgent=1/2", "flash=1/9999"} {
		if _, err := ParseCaps(in); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}

// Free is the first instant at which one more fits, and no earlier.
func TestRoomFree(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ago := func(minutes ...int) (at []time.Time) {
		for _, m := range minutes {
			at = append(at, now.Add(-time.Duration(m)*time.Minute))
		}
		return at
	}
	for name, c := range map[string]struct {
		room Room
		in   time.Duration
	}{
		"none":               {Room{At: ago(1, 1, 1, 1)}, 0},
		"empty":              {Room{Cap: Cap{1, 1}}, 0},
		"one left":           {Room{Cap: Cap{2, 4}, At: ago(90, 10)}, 0},
		"the hour":           {Room{Cap: Cap{2, 9}, At: ago(90, 50, 10)}, 10 * time.Minute},
		"the day":            {Room{Cap: Cap{3, 3}, At: ago(1439, 200, 100)}, time.Minute},
		"over, by a chief":   {Room{Cap: Cap{1, 9}, At: ago(50, 20, 10)}, 50 * time.Minute},
		"an hour to the dot": {Room{Cap: Cap{1, 9}, At: ago(60)}, 0},
	} {
		if got := c.room.Free(now).Sub(now); got != c.in {
			t.Errorf("%s: free in %s, want %s", name, got, c.in)
		}
		if full := c.room.Full(now); full != (c.in > 0) {
			t.Errorf("%s: full %v", name, full)
		}
		if at := c.room.Free(now); c.in > 0 && (c.room.Full(at) || !c.room.Full(at.Add(-time.Second))) {
			t.Errorf("%s: %s is not the first free instant", name, at)
		}
	}
}
