package desk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
	"dateline/internal/web"
	"dateline/templates"
)

// evil is what strangers and colleagues may write.
const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`

// press is the pages and doors of editions over a real store, with a stand-in
// for what makes digests.
type press struct {
	*office
	digests *printer
	desk    *Service
	keys    map[string]string // of the API, by editor
	boxes   int
}

// printer makes the digests that a test wants.
type printer struct {
	made    news.DigestPreview
	err     error
	wishes  []news.DigestWish
	sent    []string // addresses
	receipt news.Receipt
}

func (p *printer) Preview(_ context.Context, w news.DigestWish) (news.DigestPreview, error) {
	p.wishes = append(p.wishes, w)
	return p.made, p.err
}

func (p *printer) SendTest(_ context.Context, w news.DigestWish, to string) (news.Receipt, error) {
	p.wishes, p.sent = append(p.wishes, w), append(p.sent, to)
	return p.receipt, p.err
}

func goodMail() news.DigestPreview {
	return news.DigestPreview{Subject: "Quake off Japan", Preheader: "and eleven more", HTML: `<!doctype html><html><body style="margin:0"><h1 style="color:#b3261a">Quake</h1></body></html>`,
		Text: "Quake off Japan\nhttps://news.example/a", Bytes: 41_000, Minutes: 3, Stories: []news.DigestChoice{
			{URI: "https://news.example/0", Headline: "Quake off Japan", Section: "disaster", Lead: true, Reason: "chosen"},
			{URI: "https://news.example/1", Headline: "Rates rise", Section: "business", Reason: "chosen"},
			{URI: "https://news.example/2", Headline: "Old story", Section: "culture", Reason: "too-old"}}}
}

// eachPress runs fn over both engines.
func eachPress(t *testing.T, fn func(t *testing.T, p *press)) {
	storetest.EachURL(t, func(t *testing.T, url string) { fn(t, newPress(t, url)) })
}

func newPress(t *testing.T, url string) *press {
	t.Helper()
	p := &press{office: &office{t: t, secret: []byte("a secret of sixteen"), now: time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC)},
		digests: &printer{made: goodMail(), receipt: news.Receipt{Outcome: news.Accepted, Status: 250, Reason: "accepted"}}, keys: map[string]string{}}
	p.Store = storetest.Open(t, store.Config{URL: url, Now: p.clock})
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: officeOrigin, Keys: p.Store, AdminKey: adminKey})
	p.must(err)
	p.desk = New(Config{Store: p.Store, Floor: floor, Editions: p.Store, Digests: p.digests, Now: p.clock})
	p.pages = NewPages(PagesConfig{Desk: p.desk, Accounts: p.Store, Keyring: p.Store, People: p.Store, Wire: p.Store, Aside: p.Store, Trail: p.Store,
		Floor: floor, Links: link.New(make([]byte, 32)), Origin: officeOrigin, Now: p.clock})
	mux := http.NewServeMux()
	p.pages.Routes(mux)
	p.desk.Routes(mux)
	p.handler = floor.Handler(mux)
	for _, e := range []news.Editor{{Name: "Cleo", Role: news.RoleChief}, {Name: "Ann", Role: news.RoleEditor}, {Name: "Rika", Role: news.RoleReporter}} {
		p.join(e)
		key, _, err := AddAPIKey(t.Context(), p.Store, KeyWish{Editor: e.Name, Scopes: RoleScopes(e.Role)}, p.clock())
		p.must(err)
		p.keys[e.Name] = key
	}
	p.keys["system"] = adminKey
	for i := range 4 {
		p.story(fmt.Sprint("https://news.example/", i), fmt.Sprint("Headline ", i))
	}
	return p
}

func (p *press) story(uri, headline string) {
	p.t.Helper()
	s := testStory()
	s.URI, s.Headline, s.Hash, s.Translations = uri, headline, "h", nil
	_, _, err := p.StoreStory(context.Background(), s, func(news.StoryPrior) (news.StoryEffects, error) { return news.StoryEffects{}, nil })
	p.must(err)
}

// tokyo is an edition of the first of December.
func tokyo() news.Edition {
	return news.Edition{ID: news.EditionID("2026-12-01", "Asia/Tokyo", 7, false), LocalDate: "2026-12-01", Timezone: "Asia/Tokyo", Hour: 7,
		At: time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC)}
}

// mails plans n mails of an edition to a provider and brings them to a state.
func (p *press) mails(e news.Edition, provider string, state news.DigestState, reason string, n int) {
	p.t.Helper()
	ctx := context.Background()
	var mails []news.DigestMail
	for range n {
		p.boxes++
		d := news.DigestSignup{ID: uuid.NewString(), Address: fmt.Sprintf("r%d@example.org", p.boxes), Hour: e.Hour, Weekly: e.Weekly, Days: []int{1, 2, 3, 4, 5, 6, 7},
			Wishes:    news.Wishes{Preference: news.Preference{Regions: []string{"JP"}, Level: news.LevelNotice}, Language: "en", Timezone: e.Timezone},
			CreatedAt: p.clock(), ExpiresAt: p.clock().Add(time.Hour)}
		p.must(p.CreateDigestSignup(ctx, d))
		m, err := p.ConfirmDigest(ctx, d.ID, news.Consent{})
		p.must(err)
		mails = append(mails, news.DigestMail{MailboxID: m.ID, LocalDate: e.LocalDate, EditionAt: e.At, Edition: e.ID, Provider: provider, MessageID: m.ID})
	}
	p.must(p.PlanDigests(ctx, []news.Edition{e}, mails))
	if state == news.DigestDue {
		return
	}
	for _, m := range mails {
		m.State, m.Owner, m.LeaseUntil = news.DigestClaimed, "p1", p.clock().Add(time.Minute)
		if ok, err := p.ClaimDigest(ctx, m); err != nil || !ok {
			p.t.Fatalf("claim: %v, %v", ok, err)
		}
		if state == news.DigestClaimed {
			continue
		}
		m.State, m.Reason, m.Attempts = state, reason, 1
		if state == news.DigestDeferred {
			m.NextAt = p.clock().Add(time.Hour)
		}
		p.must(p.MarkDigest(ctx, m))
	}
}

// morning is an edition with mails in most states.
func (p *press) morning() news.Edition {
	e := tokyo()
	p.mails(e, "gmail", news.DigestSent, "accepted", 3)
	p.mails(e, "gmail", news.DigestBounced, news.HardBounce, 1)
	p.mails(e, "gmail", news.DigestUnknown, "no-answer", 2)
	p.mails(e, "outlook", news.DigestBounced, "policy", 1)
	p.mails(e, "outlook", news.DigestDeferred, "throttled", 1)
	p.mails(e, "rest", news.DigestEmpty, "", 1)
	p.mails(e, "rest", news.DigestDue, "", 2)
	return e
}

func onePath(e news.Edition) string { return "/desk/editions/one?id=" + url.QueryEscape(e.ID) }

func (p *press) page(cookie, path string, want int) string {
	p.t.Helper()
	got := p.ask("GET", path, cookie, nil)
	if got.status != want {
		p.t.Fatalf("GET %s: %d, want %d: %s", path, got.status, want, got.text)
	}
	return got.text
}

func has(t *testing.T, what, page string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(page, w) {
			t.Errorf("%s lacks %q", what, w)
		}
	}
}

func lacks(t *testing.T, what, page string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(page, w) {
			t.Errorf("%s has %q", what, w)
		}
	}
}
