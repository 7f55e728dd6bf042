package digest

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"dateline/internal/email"
	"dateline/internal/news"
)

// A crowd of 100,000 readers has 2,000 preferences, and was pushed five different sets
// of stories. Smaller ones are like it.
const (
	crowdEach      = 50 // readers of a preference
	crowdHistories = 5
	fullCrowd      = 100_000
)

// TestRendersAreDistinctContents sends one edition to 100,000 readers with 10,000
// contents between them (under the race detector a tenth of both, and of the memory,
// because that takes two minutes), and counts how often a mail is rendered. Read as the
// store reads them, preference by preference, each content is made once, in the memory
// that there is, which holds a seventh of them. In any other order that takes memory for
// all, which shows that equal contents have one key.
func TestRendersAreDistinctContents(t *testing.T) {
	c := newCrowd(crowdReaders)
	distinct := c.distinct(t)
	if distinct != crowdReaders/crowdEach*crowdHistories {
		t.Errorf("%d distinct contents: that is another mix than it should be", distinct)
	}
	c.byPreference()
	if made := c.run(t, newPlateMaker(t), maxPlates*crowdReaders/fullCrowd); made != distinct {
		t.Errorf("read by preference: %d contents were made, %d are distinct", made, distinct)
	}
	c.byID()
	if made := c.run(t, newPlateMaker(t), 1<<40); made != distinct {
		t.Errorf("with memory for all: %d contents were made, %d are distinct", made, distinct)
	}
}

// crowd is an edition's readers, and the store that has them.
type crowd struct {
	*memory
	readers []news.DigestReader // in the order in which they are read
}

// newCrowd has every preference and history equally often.
func newCrowd(n int) *crowd {
	c := &crowd{memory: newMemory(now)}
	wished := crowdWishes()[:n/crowdEach]
	for i := range n {
		id := fnv.New64a()
		fmt.Fprint(id, i)
		b := box(fmt.Sprintf("%016x", id.Sum64()), func(b *news.Mailbox) {
			b.Wishes.Preference = wished[i%len(wished)]
			b.SubscriberID = fmt.Sprint("history-", i/len(wished)%crowdHistories)
		})
		c.readers = append(c.readers, news.DigestReader{Mailbox: b})
	}
	c.stories = map[string]news.Story{}
	for i, country := range crowdCountries() {
		for n, section := range []string{"politics", "business"} {
			c.put(story(fmt.Sprintf("%s-%d", country, n), func(s *news.Story) {
				s.Regions, s.Sections, s.Urgency = []string{country}, []string{section}, 3+(i+n)%3
			}))
		}
	}
	c.pushed = map[string][]news.Pushed{}
	for h := range crowdHistories {
		for n := range h {
			uri := fmt.Sprint("flash-", n)
			c.put(story(uri, func(s *news.Story) { s.Regions = []string{"142"} }))
			at := now().Add(-time.Duration(n+1) * 30 * time.Minute)
			c.pushed[fmt.Sprint("history-", h)] = append(c.pushed[fmt.Sprint("history-", h)],
				news.Pushed{StoryURI: uri, AlertID: uri, Kind: news.ReleaseAlert, At: at, First: at})
		}
	}
	return c
}

func crowdCountries() []string {
	return []string{"AE", "AF", "AM", "AZ", "BD", "BH", "BN", "BT", "CN", "CY", "GE", "HK", "ID", "IL", "IN", "IQ", "IR", "JO", "JP", "KG",
		"KH", "KP", "KR", "KW", "KZ", "LA", "LB", "LK", "MM", "MN", "MO", "MV", "MY", "NP", "OM", "PH", "PK", "PS", "QA", "SA"}
}

// crowdWishes are two countries and all sections, or one.
func crowdWishes() []news.Preference {
	var out []news.Preference
	all := crowdCountries()
	for _, sections := range [][]string{nil, {"politics"}, {"business"}} {
		for i, a := range all {
			for _, b := range all[i+1:] {
				out = append(out, news.Preference{Regions: []string{a, b}, Sections: sections, Level: news.LevelBulletin})
			}
		}
	}
	return out
}

// byPreference is the order in which the store reads them, byID that of their
// mailboxes, in which no two that are alike are near each other.
func (c *crowd) byPreference() {
	c.order(func(r news.DigestReader) string { return tasteKey(r.Mailbox.Wishes.Preference) + "/" + r.Mailbox.ID })
}

func (c *crowd) byID() { c.order(func(r news.DigestReader) string { return r.Mailbox.ID }) }

func (c *crowd) order(place func(news.DigestReader) string) {
	for i, r := range c.readers {
		c.readers[i].Place = place(r)
	}
	slices.SortFunc(c.readers, func(a, b news.DigestReader) int { return cmp.Compare(a.Place, b.Place) })
}

// distinct counts the contents of a shelf's own choice, reader by reader.
func (c *crowd) distinct(t *testing.T) int {
	t.Helper()
	stories, _ := c.RecentStories(t.Context(), news.StoryFilter{})
	shelf, r := NewShelf(stories, now()), newRenderer(t)
	keys, seen := map[string]bool{}, map[string]bool{}
	for _, reader := range c.readers {
		w := reader.Mailbox.Wishes
		if like := tasteKey(w.Preference) + reader.Mailbox.SubscriberID; !seen[like] { // the others have the same query
			seen[like] = true
			keys[r.key(tokyoEdition(), w, shelf.Choose(Query{Edition: tokyoEdition(), Wishes: w, Pushed: c.pushed[reader.Mailbox.SubscriberID]}))] = true
		}
	}
	return len(keys)
}

// run sends the edition with memory for plates, and gives how many were made.
func (c *crowd) run(t testing.TB, out *plateMaker, memory int) int {
	t.Helper()
	config := configOf(t, c, out, now)
	if out.plate != nil {
		config.Templates = plainTemplates()
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.plates.limit = memory
	f, err := s.RunAt(t.Context(), now())
	if want := (news.DigestFigures{Due: len(c.readers), Sent: len(c.readers)}); err != nil || f != want {
		t.Fatalf("figures %+v, %v", f, err)
	}
	return int(out.made.Load())
}

// plateMaker counts the plates it is asked for. It has no network. With a plate it gives
// that for all of them: to render and encode 10,000 takes a minute, and no more is known
// then.
type plateMaker struct {
	*postbox
	made  atomic.Int64
	plate *email.Plate
}

// newPlateMaker has one plate, of the size of a usual mail.
func newPlateMaker(t testing.TB) *plateMaker {
	t.Helper()
	p := &plateMaker{postbox: newPostbox(t)}
	p.plate = plateOf(t, p.Mailer, 45<<10)
	return p
}

func (p *plateMaker) Prepare(pattern email.Mail) (*email.Plate, error) {
	p.made.Add(1)
	if p.plate != nil {
		return p.plate, nil
	}
	return p.Mailer.Prepare(pattern)
}

func (p *plateMaker) SendLetter(_ context.Context, _, _ string, _ *email.Letter, beforeDot func() error) news.Receipt {
	if err := beforeDot(); err != nil {
		return news.Receipt{Outcome: news.Retry, Reason: email.ReasonAborted}
	}
	return news.Receipt{Outcome: news.Accepted, Status: 250, Reason: email.ReasonAccepted}
}

// plainTemplates say next to nothing: that they are executed is what counts.
func plainTemplates() fs.FS {
	out := brokenTemplates().(fstest.MapFS)
	for _, name := range []string{"email/digest.html", "email/digest.txt"} {
		out[name] = &fstest.MapFile{Data: []byte("{{.Subject}} {{.Unsubscribe}} {{.Manage}}")}
	}
	return out
}

func (c *crowd) DigestSlots(context.Context) ([]news.ZoneHour, error) {
	return []news.ZoneHour{{Timezone: "Asia/Tokyo", Hour: 7}}, nil
}

func (c *crowd) DigestReaders(_ context.Context, _ *news.ZoneHour, after string, limit int) ([]news.DigestReader, error) {
	first, found := slices.BinarySearchFunc(c.readers, after, func(r news.DigestReader, place string) int { return cmp.Compare(r.Place, place) })
	if found {
		first++
	}
	return c.readers[first:min(first+limit, len(c.readers))], nil
}

func (c *crowd) PlanDigests(context.Context, []news.Edition, []news.DigestMail) error { return nil }
func (c *crowd) ClaimDigest(context.Context, news.DigestMail) (bool, error)           { return true, nil }
func (c *crowd) MarkDigest(context.Context, news.DigestMail) error                    { return nil }

// BenchmarkEdition is a mail of a mix of contents, ten readers each, from the claim to
// its last state: the choice, its share of the rendering, and the copy. "by id" is what
// it would cost if the readers were not read by preference.
func BenchmarkEdition(b *testing.B) {
	const readers = fullCrowd / 10
	c := newCrowd(readers)
	for name, order := range map[string]func(){"by preference": c.byPreference, "by id": c.byID} {
		b.Run(name, func(b *testing.B) {
			order()
			made := 0
			for b.Loop() {
				made = c.run(b, &plateMaker{postbox: newPostbox(b)}, maxPlates/10)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/readers, "µs/mail")
			b.ReportMetric(float64(made), "made")
		})
	}
}
