package desk

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/web"
)

const (
	// testsPerMinute is how many test mails an editor may send.
	testsPerMinute = 5
	// mailLimit is what a mail should stay under, in KB: Gmail cuts one off at 102.
	mailLimit = 80
	// choicesShown of the stories that were left out stand on the page.
	choicesShown = 60
	// lettersKept previews wait for lettersFor to be asked for by their pages.
	lettersKept = 64
	lettersFor  = 30 * time.Minute
	// longestAddress is RFC 5321's (4.5.3.1.3: a path of 256 octets with its <>).
	longestAddress = 254
)

// letterPolicy is the cage in which a mail's HTML is shown: its styles are inline,
// its pictures the publisher's; nothing else may load, run or be sent.
const letterPolicy = "default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox"

// wishView is the imagined reader, as typed.
type wishView struct {
	Regions, Words, Fault string
	Sections              []sectionView
	Narrowed              bool
	Language              string
	Languages             []languageView
	Timezone, ZoneFault   string
	Zones                 []choice
	Hour                  string
	Hours                 []choice

	hour   int
	wishes news.Wishes
}

// previewDigest is the mail that such a reader would get now.
type previewDigest struct {
	Why                string // nothing is shown; "" when something is
	Empty              bool
	Subject, Preheader string
	Lang, Dir          string
	Size               string
	TooLarge           bool
	Minutes            int
	Text               string
	Mail               string // the path of its HTML
	In, Out            []choiceView
	More               int // left out, and not listed
}

type choiceView struct {
	storyRef
	Section, Words string
}

// wishFields are the fields of the imagined reader, which a page keeps in its
// address.
func wishFields() []string { return []string{"regions", "sections", "as", "zone", "hour"} }

func wishQuery(form url.Values) url.Values {
	q := url.Values{}
	for _, name := range wishFields() {
		if form.Has(name) {
			q[name] = form[name]
		}
	}
	return q
}

// wishOf reads the imagined reader. What can't be read is said beside its field,
// and nothing is previewed.
func wishOf(form url.Values) wishView {
	v := wishView{Regions: cmp.Or(strings.TrimSpace(form.Get("regions")), "Asia"), Language: cmp.Or(form.Get("as"), "en"),
		Timezone: cmp.Or(strings.TrimSpace(form.Get("zone")), "Asia/Singapore"), Hour: cmp.Or(form.Get("hour"), "7")}
	v.wishes.Language, v.wishes.Timezone = v.Language, v.Timezone
	if expr, err := parseAudience(v.Regions); err != nil {
		v.Fault = sentence(err)
	} else {
		v.Words = region.Words(expr, "en")
		v.wishes.Preference.Regions, v.wishes.Preference.Muted = followed(expr)
	}
	v.wishes.Preference.Level = news.LevelNotice
	for _, s := range news.Sections() {
		picked := slices.Contains(form["sections"], s.Name)
		v.Sections = append(v.Sections, sectionView{s.Name, picked})
		if picked {
			v.wishes.Preference.Sections = append(v.wishes.Preference.Sections, s.Name)
		}
	}
	v.Narrowed = len(v.wishes.Preference.Sections) > 0
	if _, known := zoneNamed(v.Timezone); !known || !strings.Contains(v.Timezone, "/") && v.Timezone != region.UTC {
		v.ZoneFault = "Choose a zone such as Asia/Tokyo."
	}
	hour, err := strconv.Atoi(v.Hour)
	if err != nil || hour < 0 || hour > 23 {
		hour = 7
	}
	v.hour, v.Hour = hour, strconv.Itoa(hour)
	v.menus()
	return v
}

func (v *wishView) menus() {
	for _, l := range alertLanguages() {
		v.Languages = append(v.Languages, languageView{l, languageName(l)})
	}
	slices.SortFunc(v.Languages, func(x, y languageView) int { return strings.Compare(x.Name, y.Name) })
	zones := map[string]bool{region.UTC: true}
	for place := range region.All() {
		if place.Kind <= region.KindCountry && region.Within(place.Code, asia) {
			zones[region.Zone(place.Code)] = true
		}
	}
	for _, z := range slices.Sorted(maps.Keys(zones)) {
		v.Zones = append(v.Zones, choice{z, region.ZoneCity(z, "en")})
	}
	for h := range 24 {
		v.Hours = append(v.Hours, choice{strconv.Itoa(h), hourWords(h)})
	}
}

// followed are the places an expression takes in and those it leaves out, as a
// reader's form has them. "A - B + C" is A without B, and C whole: a place that
// comes back is not muted.
func followed(expr string) (regions, muted []string) {
	exclude := false
	for _, word := range strings.Fields(expr) {
		switch {
		case word == "+" || word == "-":
			exclude = word == "-"
		case exclude:
			muted = append(muted, word)
		default:
			muted = slices.DeleteFunc(muted, func(m string) bool { return m == word })
			regions = append(regions, word)
		}
	}
	return regions, muted
}

// wish is the imagined reader of a plan; the plan goes along where it is not saved.
func (v *planView) wish(clean *news.EditionPlan) news.DigestWish {
	w := news.DigestWish{LocalDate: v.Date, Weekly: v.Weekly, Hour: v.Wish.hour, Wishes: v.Wish.wishes}
	if v.Unsaved {
		w.Plan = clean
	}
	return w
}

// lookAtDigest makes the mail as it would come now. What can't be made is said;
// the plan can be written all the same.
func (p *Pages) lookAtDigest(ctx context.Context, view *planView, t planTyped, clean news.EditionPlan, faults error) {
	view.Preview = &previewDigest{}
	switch {
	case p.desk.digests == nil:
		view.Preview.Why = "This process makes no digests, so there is nothing to look at."
		return
	case view.Wish.Fault != "" || view.Wish.ZoneFault != "":
		view.Preview.Why = "Say which reader is meant, and what she gets is shown here."
		return
	case faults != nil && view.Unsaved:
		view.Preview.Why = "The plan has faults; what comes of it is shown when they are mended."
		return
	}
	made, err := p.desk.digests.Preview(ctx, view.wish(&clean))
	if err != nil {
		view.Preview.Why = p.whyNot(err)
		return
	}
	v := view.Preview
	v.Lang, v.Dir = view.Wish.Language, news.Direction(view.Wish.Language)
	v.Empty, v.Subject, v.Preheader, v.Minutes, v.Text = made.Empty, made.Subject, made.Preheader, made.Minutes, made.Text
	v.Size, v.TooLarge = strconv.Itoa((made.Bytes+1023)/1024), made.Bytes > mailLimit<<10
	if made.HTML != "" {
		v.Mail = p.root + "/digest/mail/" + p.letters.keep(view.By.Name, made.HTML)
	}
	for i := range made.Stories {
		c := &made.Stories[i]
		line := choiceView{storyRef: storyRef{URI: c.URI, Headline: cmp.Or(c.Headline, c.URI), Dir: "auto",
			Pinned: slices.Contains(t.plan.Pins, c.URI), Dropped: slices.Contains(t.plan.Drops, c.URI)}, Section: c.Section, Words: choiceWords(c)}
		switch {
		case c.Reason == "chosen":
			v.In = append(v.In, line)
		case len(v.Out) < choicesShown:
			v.Out = append(v.Out, line)
		default:
			v.More++
		}
	}
}

// whyNot is what is said of a mail that could not be made or sent.
func (p *Pages) whyNot(err error) string {
	if isRefusal(err) || errors.Is(err, news.ErrUnavailable) {
		return sentence(err)
	}
	p.log.Error("a digest to be looked at could not be made", "error", err)
	return "It could not be made; the log says why."
}

// postTest sends the mail as it would come now to an address that was typed. The
// trail has who, for which date and what came of it, never the address.
func (p *Pages) postTest(w http.ResponseWriter, r *http.Request) error {
	t, stored, err := p.readPlan(w, r)
	if err != nil {
		return err
	}
	view := planView{To: strings.TrimSpace(r.PostFormValue("to"))}
	view.Said, err = p.sendTest(r, &t, stored, view.To)
	status := http.StatusOK
	switch {
	case isRefusal(err) || errors.Is(err, news.ErrUnavailable):
		view.Problem, status = sentence(err), web.StatusOf(err)
	case err != nil:
		return err
	}
	return p.showPlan(w, r, status, view, r.PostForm, t, stored)
}

func (p *Pages) sendTest(r *http.Request, t *planTyped, stored *news.EditionPlan, to string) (said string, err error) {
	by := web.PersonFrom(r.Context())
	if err := checkAddress(to); err != nil {
		return "", err
	}
	if p.desk.digests == nil {
		return "", fmt.Errorf("%w: this process sends no digests", news.ErrUnavailable)
	}
	clean, err := p.desk.cleanPlan(r.Context(), t.plan)
	if err != nil {
		return "", err
	}
	view := planView{Date: t.plan.LocalDate, Weekly: t.plan.Weekly, Wish: wishOf(r.PostForm), Unsaved: t.differs(stored)}
	if view.Wish.Fault != "" || view.Wish.ZoneFault != "" {
		return "", news.Invalid("", "say first which reader is meant: %s", cmp.Or(view.Wish.Fault, view.Wish.ZoneFault))
	}
	if err := p.testMails.Take(by.Name); err != nil {
		return "", err
	}
	receipt, err := p.desk.digests.SendTest(r.Context(), view.wish(&clean), to)
	if err != nil {
		return "", err
	}
	// Written after the fact: that it went out is what others have to know.
	detail := fmt.Sprintf("%s, %s, %s: %s", view.Wish.Language, view.Wish.Timezone, hourWords(view.Wish.hour), receipt.Outcome)
	entry := news.AuditEntry{By: by.Name, Action: "test-digest", Subject: "digest/" + view.Date, Detail: detail}
	if err := p.desk.editions.AppendAudit(r.Context(), entry); err != nil {
		return "", fmt.Errorf("desk: a test mail in the audit trail: %w", err)
	}
	said = receiptWords(receipt)
	if receipt.Detail != "" {
		said += " The server said: " + receipt.Detail
	}
	return said, nil
}

// checkAddress takes one bare address. What is wrong with it is said without it.
func checkAddress(to string) error {
	parsed, err := mail.ParseAddress(to)
	if err != nil || parsed.Address != to || parsed.Name != "" || len(to) > longestAddress {
		return news.Invalid("address", "must be one address such as you@example.org")
	}
	return nil
}

// letters are mails that a page shows in frames of their own, for the editor who
// asked for them. Their plan may not be saved, so they are nowhere else.
type letters struct {
	now  func() time.Time
	mu   sync.Mutex
	kept map[string]letter
}

type letter struct {
	by, html string
	at       time.Time
}

func newLetters(now func() time.Time) *letters { return &letters{now: now, kept: map[string]letter{}} }

// keep gives the name under which the page's frames ask for a mail. When there are
// too many the oldest goes.
func (l *letters) keep(by, html string) string {
	token := rand.Text()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	maps.DeleteFunc(l.kept, func(_ string, k letter) bool { return now.Sub(k.at) > lettersFor })
	if len(l.kept) >= lettersKept {
		oldest := ""
		for name, k := range l.kept {
			if oldest == "" || k.at.Before(l.kept[oldest].at) {
				oldest = name
			}
		}
		delete(l.kept, oldest)
	}
	l.kept[token] = letter{by, html, now}
	return token
}

func (l *letters) of(by, token string) (html string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, known := l.kept[token]
	return k.html, known && k.by == by && l.now().Sub(k.at) <= lettersFor
}

// getLetter is a mail's HTML by itself, in its cage. One that is not here any more
// (another process may have made it) says so in the frame.
func (p *Pages) getLetter(w http.ResponseWriter, r *http.Request) error {
	html, ok := p.letters.of(web.PersonFrom(r.Context()).Name, r.PathValue("token"))
	status := http.StatusOK
	if !ok {
		status, html = http.StatusNotFound, `<!doctype html><html lang="en"><meta charset="utf-8"><title>Gone</title><p>This preview has gone. Press “Show” to make it again.</p></html>`
	}
	h := w.Header()
	h.Set("Content-Security-Policy", letterPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = strings.NewReader(html).WriteTo(w)
	return nil
}
