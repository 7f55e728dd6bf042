package news

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cap is how many alerts of one level the newsroom releases: within any hour,
// and within any 24 hours. Whoever takes a push system over sends as fast as it
// lets her; more than this needs a chief. The zero value is no cap.
type Cap struct{ Hour, Day int }

// Caps are the newsroom's caps, by level. A level that is not named has none.
type Caps map[Level]Cap

// mostInCap bounds a cap from above: a larger one is a slip of the finger.
const mostInCap = 1000

// NoCaps is what holds until somebody sets caps: a policy of auto releases at
// once (DESIGN 6), however many there are.
func NoCaps() Caps { return Caps{LevelFlash: {}, LevelBulletin: {}} }

// CappedLevels are the levels that can have a cap, the loudest first.
func CappedLevels() []Level { return []Level{LevelFlash, LevelBulletin} }

// None reports that the cap stops nothing.
func (c Cap) None() bool { return c == Cap{} }

// Check says what is wrong with a cap.
func (c Cap) Check() error {
	switch {
	case c.None():
		return nil
	case c.Hour < 1 || c.Day < 1 || c.Hour > mostInCap || c.Day > mostInCap:
		return fmt.Errorf("an hour and a day allow from 1 to %d alerts each; none for both lifts the cap", mostInCap)
	case c.Hour > c.Day:
		return fmt.Errorf("a day can't allow fewer alerts (%d) than an hour (%d)", c.Day, c.Hour)
	}
	return nil
}

// String is the cap as ParseCaps reads it.
func (c Cap) String() string {
	if c.None() {
		return "none"
	}
	return strconv.Itoa(c.Hour) + "/" + strconv.Itoa(c.Day)
}

// ParseCaps reads caps such as "flash=3/8,bulletin=6/20": alerts an hour, and
// a day; "none" is no cap, of a level or of all. Levels that are not named have
// none.
func ParseCaps(text string) (Caps, error) {
	out := NoCaps()
	if strings.TrimSpace(text) == "none" {
		return out, nil
	}
	var faults Problems
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		level, err := ParseLevel(strings.TrimSpace(name))
		if err != nil || !slices.Contains(CappedLevels(), level) {
			faults.Add("", "%q is neither flash nor bulletin", name)
			continue
		}
		c, err := parseCap(strings.TrimSpace(value))
		faults.Take("", err)
		out[level] = c
	}
	return out, faults.Err()
}

func parseCap(text string) (Cap, error) {
	if text == "none" {
		return Cap{}, nil
	}
	hour, day, _ := strings.Cut(text, "/")
	h, err1 := strconv.Atoi(strings.TrimSpace(hour))
	d, err2 := strconv.Atoi(strings.TrimSpace(day))
	if err1 != nil || err2 != nil || h == 0 && d == 0 {
		return Cap{}, fmt.Errorf("%q must be how many an hour and how many a day, such as 3/8, or none", text)
	}
	c := Cap{Hour: h, Day: d}
	return c, c.Check()
}

// Room is a level's cap and what was released of it within the last 24 hours:
// first releases, neither repairs nor what was undone. The store reads it under
// a lock that every other release of the level waits for.
type Room struct {
	Cap Cap
	At  []time.Time // ascending
}

// RoomWindow is how far back a Room looks.
const RoomWindow = 24 * time.Hour

// Used counts the releases of the last hour and of the last 24.
func (r Room) Used(now time.Time) (hour, day int) {
	for _, at := range r.At {
		if at.After(now.Add(-RoomWindow)) {
			day++
		}
		if at.After(now.Add(-time.Hour)) {
			hour++
		}
	}
	return hour, day
}

// Full reports whether one more would go over the cap.
func (r Room) Full(now time.Time) bool {
	hour, day := r.Used(now)
	return !r.Cap.None() && (hour >= r.Cap.Hour || day >= r.Cap.Day)
}

// Free is when the next one fits; now when one fits already.
func (r Room) Free(now time.Time) time.Time {
	free := now
	if r.Cap.None() {
		return free
	}
	// With the n-th last one out of the window, n-1 are left in it.
	for _, bound := range []struct {
		most int
		over time.Duration
	}{{r.Cap.Hour, time.Hour}, {r.Cap.Day, RoomWindow}} {
		if i := len(r.At) - bound.most; i >= 0 {
			if leaves := r.At[i].Add(bound.over); leaves.After(free) {
				free = leaves
			}
		}
	}
	return free
}

// Says is the room in words: "flash: 1 of 3 this hour, 4 of 8 today".
func (r Room) Says(level Level, now time.Time) string {
	if r.Cap.None() {
		return level.String() + ": no cap"
	}
	hour, day := r.Used(now)
	return fmt.Sprintf("%s: %d of %d this hour, %d of %d today", level, hour, r.Cap.Hour, day, r.Cap.Day)
}

// Why says which cap is full, and when the next release fits.
func (r Room) Why(level Level, now time.Time) string {
	hour, day := r.Used(now)
	over := fmt.Sprintf("%d an hour, and %d went out within the last", r.Cap.Hour, hour)
	if day >= r.Cap.Day {
		over = fmt.Sprintf("%d a day, and %d went out within the last 24 hours", r.Cap.Day, day)
	}
	return fmt.Sprintf("the newsroom's cap for a %s is %s; the next is free at %s", level, over, r.Free(now).UTC().Format("15:04 MST, 2 Jan"))
}

// fits decides whether a release stays within the newsroom's caps, or may go
// over them: over says that somebody typed that she means it, which only a
// chief may, signed in on the desk's pages. passed reports that it did go over.
func fits(level Level, by Person, terms ReleaseTerms) (passed bool, err error) {
	if terms.Room == nil || !terms.Room.Full(terms.Now) {
		return false, nil
	}
	if !terms.OverCap || by.System || by.Role != RoleChief || !by.SignedIn {
		return false, fmt.Errorf("%w: %s. A chief can release over the cap, on the desk", ErrConflict, terms.Room.Why(level, terms.Now))
	}
	return true, nil
}
