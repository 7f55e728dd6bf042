package digest

import (
	"context"
	"fmt"
	"slices"

	"dateline/internal/email"
	"dateline/internal/news"
)

// slotScan reads the readers of a slot (or of all, for several slots that take one turn
// together), page by page, for all lanes at once. Where
// one lane has no room, the others go on, and the readers that it missed are read again
// when it has.
type slotScan struct {
	walker *walker
	slot   *news.ZoneHour         // nil: all readers are read
	only   map[news.ZoneHour]bool // and those of these slots are meant
	name   string
	reach  map[string]string // by lane: up to which place its readers are handed out
	done   map[string]bool   // by lane: all are
	known  string            // up to which place they are written down as due
}

func newSlotScan(w *walker, slot news.ZoneHour) *slotScan {
	return &slotScan{walker: w, slot: &slot, name: fmt.Sprintf("%s|%d", slot.Timezone, slot.Hour), reach: map[string]string{}, done: map[string]bool{}}
}

// newRestScan reads the readers of many slots in one go: each by itself would be a
// thousand queries.
func newRestScan(w *walker, slots []news.ZoneHour) *slotScan {
	s := &slotScan{walker: w, only: map[news.ZoneHour]bool{}, name: restSlot, reach: map[string]string{}, done: map[string]bool{}}
	for _, slot := range slots {
		s.only[slot] = true
	}
	return s
}

// restSlot is whose turn it is beside the slots for the rest.
const restSlot = "rest"

func (s *slotScan) finished() bool {
	for _, p := range email.Providers() {
		if !s.done[p.Name] {
			return false
		}
	}
	return true
}

// from is the lowest place after which a lane with room has readers to be handed out.
func (s *slotScan) from() (place string, ok bool) {
	for _, p := range email.Providers() {
		if s.done[p.Name] || !s.walker.service.post.hasRoom(p.Name, s.name) {
			continue
		}
		if at := s.reach[p.Name]; !ok || at < place {
			place, ok = at, true
		}
	}
	return place, ok
}

// step reads a page and hands out what there is room for; false when no lane has any.
func (s *slotScan) step(ctx context.Context) (bool, error) {
	after, ok := s.from()
	if !ok {
		return false, nil
	}
	service := s.walker.service
	page, err := service.Store.DigestReaders(ctx, s.slot, after, pageSize)
	if err != nil {
		return false, fmt.Errorf("digest: readers after %q: %w", after, err)
	}
	jobs := s.walker.due(page)
	if s.only != nil {
		jobs = slices.DeleteFunc(jobs, func(j job) bool {
			return !s.only[news.ZoneHour{Timezone: j.reader.Mailbox.Wishes.Timezone, Hour: j.reader.Mailbox.Hour}]
		})
	}
	if err := s.plan(ctx, page, jobs); err != nil {
		return false, err
	}
	if err := service.addPushed(ctx, jobs); err != nil {
		return false, err
	}
	full := s.handOut(ctx, after, jobs)
	s.advance(after, page, full)
	return true, ctx.Err()
}

// plan writes down who is due, each reader once in a scan.
func (s *slotScan) plan(ctx context.Context, page []news.DigestReader, jobs []job) error {
	fresh := slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return j.reader.Place <= s.known })
	if err := s.walker.service.planned(ctx, fresh); err != nil {
		return err
	}
	if len(page) > 0 {
		s.known = max(s.known, page[len(page)-1].Place)
	}
	return nil
}

// handOut gives the jobs to their lanes. full is, for each lane that has no room any
// more, the reader before the first that it did not take.
func (s *slotScan) handOut(ctx context.Context, after string, jobs []job) (full map[string]string) {
	full = map[string]string{}
	last := after
	for _, j := range jobs {
		place := j.reader.Place
		reach := s.reach[j.provider]
		_, stuck := full[j.provider]
		// A lane that stands before this page missed readers between: it comes later.
		if stuck || s.done[j.provider] || reach < after || place <= reach {
			last = place
			continue
		}
		if !s.walker.hand(ctx, s.name, j) {
			full[j.provider] = last
		}
		last = place
	}
	return full
}

// advance notes how far each lane has come by a page.
func (s *slotScan) advance(after string, page []news.DigestReader, full map[string]string) {
	end := after
	if len(page) > 0 {
		end = page[len(page)-1].Place
	}
	for _, p := range email.Providers() {
		at := s.reach[p.Name]
		if s.done[p.Name] || at < after {
			continue
		}
		stop, stuck := full[p.Name]
		if stuck {
			s.reach[p.Name] = max(at, stop)
			continue
		}
		s.reach[p.Name] = max(at, end)
		s.done[p.Name] = len(page) < pageSize
	}
}
