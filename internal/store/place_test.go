package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// Readers come preference by preference, page by page, each once, whatever the size of
// the pages: those of a slot, and all of them.
func TestDigestReadersByPreference(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		countries := []string{"JP", "KR", "TH", "ID", "IN"}
		var boxes []news.Mailbox
		for i := range 60 {
			w := wishes(countries[i%len(countries)])
			boxes = append(boxes, news.Mailbox{Address: fmt.Sprintf("r%d@example.org", i), State: news.MailboxActive, Wishes: w, Hour: 7 + i%2})
		}
		faults, err := s.ImportMailboxes(ctx, boxes)
		must(t, err)
		for _, fault := range faults {
			must(t, fault)
		}
		zone := boxes[0].Wishes.Timezone
		for size, slot := range map[int]*news.ZoneHour{1: nil, 7: nil, 100: nil, 2: {Timezone: zone, Hour: 7}, 9: {Timezone: zone, Hour: 8}, 101: {Timezone: zone, Hour: 8}} {
			var places, runs []string
			for after := ""; ; after = places[len(places)-1] {
				page, err := s.DigestReaders(ctx, slot, after, size)
				must(t, err)
				if len(page) == 0 {
					break
				}
				for _, r := range page {
					places = append(places, r.Place)
					if country := r.Mailbox.Wishes.Preference.Regions[0]; len(runs) == 0 || runs[len(runs)-1] != country {
						runs = append(runs, country)
					}
				}
			}
			want := len(boxes)
			if slot != nil {
				want /= 2
			}
			if len(places) != want || !slices.IsSorted(places) || len(slices.Compact(places)) != want || len(runs) != len(countries) {
				t.Errorf("pages of %d: %d places, preferences %v", size, len(places), runs)
			}
		}
	})
}
