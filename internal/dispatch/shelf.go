package dispatch

import (
	"slices"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// This file is which releases the book has, and in which state they are.

// setStates takes over what the store says of releases: those it lists as
// active, and those that are closed although the book took them for active. A
// stop is for good, and a repair stops what it repairs: also what counts as
// sent and only waits for the end of quiet hours.
func (b *book) setStates(active []news.Release, closed map[string]news.ReleaseState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active = active
	for id, state := range closed {
		b.setState(id, state)
	}
	for _, r := range active {
		b.setState(r.ID, r.State)
		b.setPhase(r.ID, r.Phase)
		b.supersede(&r)
	}
}

func (b *book) setState(id string, state news.ReleaseState) {
	if r := b.runs[id]; r != nil && r.state != news.ReleaseStopped && r.state != state {
		if state == news.ReleaseSending { // resumed: a canary has all of its patience again
			r.sending = 0
		}
		r.state = state
		if state == news.ReleaseSent { // nobody judges its canary any more
			b.setPhase(id, news.PhaseAll)
		}
		clear(b.naps) // it may have been on hold, with sleepers whose quiet hours are over
	}
}

// supersede stops the earlier releases of a repair's alert.
func (b *book) supersede(repair *news.Release) {
	if !repair.Repair() {
		return
	}
	for _, r := range b.stories[repair.StoryURI] {
		r.repairedBy(repair)
	}
}

// repairedBy stops the run if the other release repairs it, and notes whether
// the repair goes to those who wait for it.
func (r *run) repairedBy(other *news.Release) {
	if !repairs(other, &r.release) {
		return
	}
	r.state = news.ReleaseStopped
	if other.Kind == news.ReleaseCorrection && other.Supersedes {
		r.replacedBy[other.ID] = true
	}
}

// repairs reports whether a repairs b.
func repairs(a, b *news.Release) bool {
	return a.Repair() && a.AlertID == b.AlertID && a.Revision > b.Revision
}

// unlisted is the runs that may start something and that are not among the
// active.
func (b *book) unlisted(active []news.Release) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	listed := map[string]bool{}
	for _, r := range active {
		listed[r.ID] = true
	}
	var ids []string
	for id, r := range b.runs {
		if !listed[id] && (r.state == news.ReleaseSending || r.state == news.ReleaseHeld) {
			ids = append(ids, id)
		}
	}
	return ids
}

// missing lists the stories of which the book lacks a release: an active one,
// or a correction of one it has.
func (b *book) missing() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var stories []string
	for _, r := range b.active {
		if b.runs[r.ID] == nil {
			stories = append(stories, r.StoryURI)
		}
	}
	for _, r := range b.runs {
		for id := range r.replacedBy {
			if b.runs[id] == nil {
				stories = append(stories, r.release.StoryURI)
			}
		}
	}
	slices.Sort(stories)
	return slices.Compact(stories)
}

// open adds a run for a release that was just read from the store, with all
// others about its story. What the permit loop has learnt since goes before: of
// a release that was under way when it was read and is not listed now, nothing
// is known, and it is left out until it is listed. So is a repair of what the
// book lacks: its readers are taken from there.
func (b *book) open(r news.Release, story []news.Release, p *payloads, q audience.Query) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs[r.ID] != nil {
		return
	}
	state, phase, listed := r.State, r.Phase, false
	for i := range b.active {
		if b.active[i].ID == r.ID {
			state, phase, listed = b.active[i].State, b.active[i].Phase, true
		}
	}
	if !listed && (state == news.ReleaseSending || state == news.ReleaseHeld) {
		return
	}
	for i := range story {
		if repairs(&r, &story[i]) && b.runs[story[i].ID] == nil {
			return
		}
	}
	fresh := &run{release: r, state: state, cells: map[int]*cellRun{}, replacedBy: map[string]bool{}, payload: p, query: q, phase: phase}
	for _, known := range [][]news.Release{story, b.active} {
		for i := range known {
			fresh.repairedBy(&known[i])
		}
	}
	b.runs[r.ID] = fresh
	b.stories[r.StoryURI] = append(b.stories[r.StoryURI], fresh)
	slices.SortFunc(b.stories[r.StoryURI], func(x, y *run) int { return x.release.Revision - y.release.Revision })
	b.supersede(&r)
}

// closed notes that the store counts the run as settled.
func (b *book) closed(r *run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.settled = true
	b.active = slices.DeleteFunc(slices.Clone(b.active), func(a news.Release) bool { return a.ID == r.release.ID })
}

// forget drops the runs of stories about which nothing is left to do: the
// store counts all of them as settled, and they hold nothing back.
func (b *book) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for uri, runs := range b.stories {
		if slices.ContainsFunc(runs, func(r *run) bool { return !r.idle() }) {
			continue
		}
		delete(b.stories, uri)
		for _, r := range runs {
			delete(b.runs, r.release.ID)
			for _, c := range r.cells {
				c.lost = true
			}
		}
	}
}

func (r *run) idle() bool {
	if !r.settled {
		return false
	}
	for _, c := range r.cells {
		if c.dirty || c.uncounted || c.inFlight.len() > 0 || !c.row.Settled || !c.row.Held.IsEmpty() {
			return false
		}
	}
	return true
}
