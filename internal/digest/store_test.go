package digest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

var _ Store = (*store.Store)(nil)

// The whole way on the real store, on both engines: confirmed readers, stories,
// one mail each, a greylisted one later, nothing twice.
func TestOnTheRealStore(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		c := &clock{at: now()}
		db := storetest.Open(t, store.Config{URL: url, Now: c.now})
		h := newHouse(t, simulate.MailOptions{Answer: bad("rcpt", func(step simulate.MailStep) bool {
			return step.To == "r0@mail.example" && step.Try == 1
		}, simulate.MailAnswer{Code: 451, Enhanced: [3]int{4, 7, 1}, Text: "greylisted"})}, func(config *Config) {
			config.Store, config.Now = db, c.now
		})
		h.clock = c
		ctx := context.Background()
		none := func(news.StoryPrior) (news.StoryEffects, error) { return news.StoryEffects{}, nil }
		for i := range 3 {
			if _, _, err := db.StoreStory(ctx, story(fmt.Sprintf("https://news.example/%d", i)), none); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			s := signup(fmt.Sprintf("r%d", i))
			s.ID = fmt.Sprintf("0190a5b0-0000-7000-8000-%012d", i)
			if err := db.CreateDigestSignup(ctx, s); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ConfirmDigest(ctx, s.ID, news.Consent{}); err != nil {
				t.Fatal(err)
			}
		}
		wantFigures(t, h.run(t), news.DigestFigures{Due: 20, Sent: 19, Deferred: 1})
		wantFigures(t, h.run(t), news.DigestFigures{})
		c.add(5 * time.Minute)
		wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
		c.add(24 * time.Hour)
		wantFigures(t, h.run(t), news.DigestFigures{Due: 20, Empty: 20})
		if h.server.Taken() != 20 {
			t.Errorf("%d mails", h.server.Taken())
		}
		f, err := db.DigestFigures(ctx, now().Add(-time.Hour))
		if err != nil || f.Sent != 20 || f.Empty != 20 {
			t.Errorf("figures %+v, %v", f, err)
		}
	})
}
