package digest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// TestSeasons is the loop in virtual time with 10,000 readers in 24 zones, over the days
// on which Beirut, Jerusalem, Nicosia and London set their clocks, forward and back: on
// every local date on which there was something to tell a reader gets one mail, within
// the minute of her hour, and none on the others.
func TestSeasons(t *testing.T) {
	for name, from := range map[string]time.Time{
		"forward": time.Date(2026, 3, 26, 12, 0, 0, 0, time.UTC), // Jerusalem on the 27th, the others on the 29th
		"back":    time.Date(2026, 10, 23, 12, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) { newSeason(t, from, 80*time.Hour, 10_000).run(t) })
	}
}

func seasonZones() []string {
	return []string{"Asia/Tokyo", "Asia/Seoul", "Asia/Shanghai", "Asia/Hong_Kong", "Asia/Taipei", "Asia/Manila", "Asia/Singapore", "Asia/Jakarta",
		"Asia/Bangkok", "Asia/Ho_Chi_Minh", "Asia/Dhaka", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Karachi", "Asia/Tashkent", "Asia/Almaty",
		"Asia/Dubai", "Asia/Tehran", "Asia/Riyadh", "Asia/Jerusalem", "Asia/Beirut", "Asia/Nicosia", "Europe/London", "America/New_York"}
}

// season is a simulation and what has to come out of it.
type season struct {
	from    time.Time
	length  time.Duration
	readers []news.Mailbox
	stories []news.Story
	seed    uint64
	made    map[news.ZoneHour][]time.Time // see dates
}

func newSeason(t *testing.T, from time.Time, length time.Duration, readers int) *season {
	t.Helper()
	s := &season{from: from, length: length, seed: rand.Uint64(), made: map[news.ZoneHour][]time.Time{}}
	t.Logf("seed %d", s.seed)
	rng := rand.New(rand.NewPCG(s.seed, 1))
	countries := []string{"JP", "KR", "CN", "TH", "ID", "IN", "PK", "IL", "LB", "CY"}
	hours := []int{0, 1, 2, 3, 6, 7, 8, 20}
	providers := []string{"gmail.com", "yahoo.co.jp", "qq.com", "mail.example"}
	for i := range readers {
		zone := seasonZones()[i%24]
		b := box(fmt.Sprintf("r%05d", i), func(b *news.Mailbox) {
			b.Address = b.ID + "@" + providers[rng.IntN(len(providers))]
			b.Wishes.Timezone, b.Hour, b.CreatedAt = zone, hours[rng.IntN(len(hours))], from.Add(time.Second)
			b.Wishes.Preference.Regions = []string{countries[rng.IntN(len(countries))]}
			if rng.IntN(5) == 0 {
				b.Days = []int{1, 3, 5, 7}
			}
			if rng.IntN(50) == 0 {
				b.Days, b.Weekly = nil, true
			}
		})
		s.readers = append(s.readers, b)
	}
	// A story in some country every few hours, never on a minute at which an edition is
	// made; in some countries nothing for a day and more.
	for at := from.Add(-3 * time.Hour); at.Before(from.Add(length)); at = at.Add(time.Duration(2+rng.IntN(5)) * time.Hour) {
		stored := at.Truncate(time.Hour).Add(17*time.Minute + 30*time.Second)
		s.stories = append(s.stories, story(fmt.Sprintf("%s/%d", stored.Format(time.RFC3339), len(s.stories)), func(one *news.Story) {
			one.StoredAt, one.Created, one.Regions = stored, stored, []string{countries[rng.IntN(len(countries))]}
		}))
	}
	return s
}

// dates are the instants at which a slot's editions are made, worked out minute by
// minute: the first minute of a local date that is at or after the hour.
func (s *season) dates(slot news.ZoneHour) []time.Time {
	if known, ok := s.made[slot]; ok {
		return known
	}
	zone, err := time.LoadLocation(slot.Timezone)
	if err != nil {
		panic(err)
	}
	var out []time.Time
	last := ""
	for at := s.from.Add(-26 * time.Hour); at.Before(s.from.Add(s.length)); at = at.Add(time.Minute) {
		local := at.In(zone)
		if date := local.Format(time.DateOnly); date != last && local.Hour() >= slot.Hour {
			last = date
			out = append(out, local)
		}
	}
	s.made[slot] = out
	return out
}

// want is when a reader has to get mails, by local date.
func (s *season) want(b news.Mailbox) map[string]time.Time {
	window := 36 * time.Hour
	if b.Weekly {
		window = 8 * 24 * time.Hour
	}
	out := map[string]time.Time{}
	seen := time.Time{} // what was stored until then was told or passed over
	for _, at := range s.dates(news.ZoneHour{Timezone: b.Wishes.Timezone, Hour: b.Hour}) {
		if !at.After(s.from) || !seasonDay(b, at.Weekday()) { // before anybody was there, or not hers
			continue
		}
		newest := seen
		for _, story := range s.stories {
			if story.StoredAt.After(at) || !story.StoredAt.After(seen) {
				continue
			}
			newest = story.StoredAt
			if story.Regions[0] == b.Wishes.Preference.Regions[0] && at.Sub(story.Created) <= window {
				out[at.Format(time.DateOnly)] = at
			}
		}
		seen = newest
	}
	return out
}

func seasonDay(b news.Mailbox, day time.Weekday) bool {
	if b.Weekly {
		return day == time.Saturday
	}
	iso := (int(day)+6)%7 + 1
	return len(b.Days) == 0 || slices.Contains(b.Days, iso)
}

func (s *season) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(s.from))
		store, out := newShelvedMemory(s), newPostbox(t)
		config := configOf(t, store, out, time.Now)
		config.Tick = 30 * time.Second
		service, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- service.Run(ctx) }()
		for _, story := range s.stories {
			if wait := time.Until(story.StoredAt); wait > 0 {
				time.Sleep(wait)
			}
			store.put(story)
		}
		time.Sleep(time.Until(s.from.Add(s.length - time.Second)))
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		s.check(t, out)
	})
}

func (s *season) check(t *testing.T, out *postbox) {
	got := map[string][]time.Time{}
	for i, to := range out.to {
		id, _, _ := strings.Cut(to, "@")
		got[id] = append(got[id], out.sent[i])
	}
	wrong, mails := 0, 0
	for _, b := range s.readers {
		want := s.want(b)
		zone, _ := time.LoadLocation(b.Wishes.Timezone)
		dates := map[string]bool{}
		for _, at := range got[b.ID] {
			date := at.In(zone).Format(time.DateOnly)
			due, ok := want[date]
			if late := at.Sub(due); !ok || late < 0 || late >= time.Minute || dates[date] {
				wrong++
				t.Logf("%s (%s %02d:00 %v, weekly %t): a mail at %s, due at %s", b.ID, b.Wishes.Timezone, b.Hour, b.Days, b.Weekly, at.In(zone), due.In(zone))
			}
			dates[date] = true
		}
		for date, due := range want {
			if mails++; !dates[date] {
				wrong++
				t.Logf("%s (%s %02d:00): no mail on %s, due at %s", b.ID, b.Wishes.Timezone, b.Hour, date, due)
			}
		}
		if wrong > 20 {
			break
		}
	}
	if wrong > 0 {
		t.Fatalf("%d wrong", wrong)
	}
	if mails < len(s.readers) {
		t.Errorf("%d mails were due: that proves little", mails)
	}
	t.Logf("%d readers, %d mails at their minute", len(s.readers), mails)
}

// shelvedMemory is memory with what 10,000 readers need: it finds them by slot, and what
// is unfinished without looking through everything.
type shelvedMemory struct {
	*memory
	readers []*news.Mailbox // by id
	slots   []news.ZoneHour
	last    map[string]news.DigestMail // by mailbox: the newest that is finished
	rows    map[[2]string]news.DigestMail
	open    map[[2]string]bool
}

func newShelvedMemory(s *season) *shelvedMemory {
	m := &shelvedMemory{memory: newMemory(time.Now), last: map[string]news.DigestMail{},
		rows: map[[2]string]news.DigestMail{}, open: map[[2]string]bool{}}
	for i := range s.readers {
		b := &s.readers[i]
		if slot := (news.ZoneHour{Timezone: b.Wishes.Timezone, Hour: b.Hour}); !slices.Contains(m.slots, slot) {
			m.slots = append(m.slots, slot)
		}
		m.readers = append(m.readers, b)
		m.boxes[b.ID] = *b
	}
	return m
}

func (m *shelvedMemory) DigestSlots(context.Context) ([]news.ZoneHour, error) {
	return slices.Clone(m.slots), nil
}

func (m *shelvedMemory) DigestReaders(_ context.Context, slot *news.ZoneHour, after string, limit int) ([]news.DigestReader, error) {
	defer m.lock()()
	first, _ := slices.BinarySearchFunc(m.readers, after, func(b *news.Mailbox, id string) int { return cmp.Compare(b.ID, id) })
	var out []news.DigestReader
	for _, b := range m.readers[first:] {
		if len(out) == limit {
			break
		}
		if b.ID > after && (slot == nil || *slot == news.ZoneHour{Timezone: b.Wishes.Timezone, Hour: b.Hour}) {
			last := m.last[b.ID]
			out = append(out, news.DigestReader{Mailbox: *b, Place: b.ID, LastUntil: last.StoriesUntil, LastDate: last.LocalDate})
		}
	}
	return out, nil
}

func (m *shelvedMemory) PlanDigests(_ context.Context, _ []news.Edition, mails []news.DigestMail) error {
	defer m.lock()()
	for _, d := range mails {
		if key := [2]string{d.MailboxID, d.LocalDate}; m.rows[key].State == "" {
			d.State = news.DigestDue
			m.write(key, d)
		}
	}
	return nil
}

func (m *shelvedMemory) ClaimDigest(_ context.Context, d news.DigestMail) (bool, error) {
	defer m.lock()()
	key := [2]string{d.MailboxID, d.LocalDate}
	known := m.rows[key]
	free := known.State == "" || known.State == news.DigestDue || known.State == news.DigestDeferred && !known.NextAt.After(time.Now())
	if free {
		m.write(key, d)
	}
	return free, nil
}

func (m *shelvedMemory) MarkDigest(_ context.Context, d news.DigestMail) error {
	defer m.lock()()
	m.write([2]string{d.MailboxID, d.LocalDate}, d)
	return nil
}

func (m *shelvedMemory) write(key [2]string, d news.DigestMail) {
	m.rows[key] = d
	delete(m.open, key)
	switch d.State {
	case news.DigestSent, news.DigestUnknown, news.DigestEmpty:
		if d.LocalDate > m.last[d.MailboxID].LocalDate {
			m.last[d.MailboxID] = d
		}
	default:
		m.open[key] = true
	}
}

func (m *shelvedMemory) RecoverDigests(context.Context, time.Time) (retry, unknown int, err error) {
	return 0, 0, nil
}

func (m *shelvedMemory) ExpireDigests(_ context.Context, upTo time.Time) (expired int, err error) {
	defer m.lock()()
	for key := range m.open {
		if d := m.rows[key]; !d.EditionAt.After(upTo) {
			d.State = news.DigestExpired
			m.rows[key] = d
			delete(m.open, key)
			expired++
		}
	}
	return expired, nil
}

func (m *shelvedMemory) DigestDeferred(context.Context, time.Time, int) ([]news.DigestMail, error) {
	return nil, nil
}
