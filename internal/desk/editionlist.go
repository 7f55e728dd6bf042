package desk

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

const (
	// editionsFresh is how long a sum over the mails serves every open page: it is
	// counted row by row, and an edition lasts for minutes.
	editionsFresh = 3 * time.Second
	// pausesShown is for how long a pause that nobody ended stands above the list:
	// its mails have expired by then.
	pausesShown = 7 * 24 * time.Hour
)

// editionsNow is what a list of editions is made of, read at once.
type editionsNow struct {
	list  []news.EditionAccount
	open  []news.EditionPause
	dates []editionDate
}

// editionsView is the page "desk/editions".
type editionsView struct {
	Title          string
	By             news.Person
	Problem        string
	Date           string // asked for; "": the last days
	Earlier, Later string
	Live           editionsLive
	Pause          pauseForm
}

// editionsLive is the block "live" of that page.
type editionsLive struct {
	May    bool
	Pauses []pauseView
	Dates  []editionDate
}

// editionDate are the editions of one local date.
type editionDate struct {
	Date, Words string
	Lines       []editionLine
	Totals      []figureView
	Bar         editionBar
	Wrong       string
}

// editionLine is one edition in the list.
type editionLine struct {
	ID, Name, At, State string
	Weekly              bool
	Figures             []figureView
	Bar                 editionBar
	Wrong               string // why it does not add up; ""
}

// LinkID is the id of the link to the edition's page: the focus comes back to it.
func (l editionLine) LinkID() string { return strings.ReplaceAll(l.ID, " ", "-") }

// figureView is one count. Loud ones are looked at when they are not zero.
type figureView struct {
	Name, Number string
	Zero, Loud   bool
}

// figuresOf are the counts in the order of the page's columns.
func figuresOf(f *news.EditionFigures) []figureView {
	view := func(name string, n int, loud bool) figureView {
		return figureView{name, grouped(n), n == 0, loud && n > 0}
	}
	return []figureView{view("due", f.Due, false), view("sent", f.Sent, false), view("under way", f.UnderWay, false), view("waiting", f.Waiting, false),
		view("deferred", f.Deferred, false), view("bounced", f.Bounced, true), view("unknown", f.Unknown, true), view("expired", f.Expired, true),
		view("suppressed", f.Suppressed, false), view("empty", f.Empty, false), view("complaints", f.Complaints, true), view("left", f.Left, false)}
}

// editionBar is how far an edition is, in hundredths of its mails.
type editionBar struct {
	Words string
	Parts []editionBarPart
}

type editionBarPart struct{ Class, X, Width string }

// barOf draws what was sent, what has ended otherwise, what failed and what is
// being tried; what waits is the empty rest.
func barOf(f *news.EditionFigures) editionBar {
	if f.Due <= 0 {
		return editionBar{Words: "no mails"}
	}
	over := f.Due - f.Waiting - f.UnderWay - f.Deferred
	v := editionBar{Words: fmt.Sprintf("%s of %s over, %s sent", grouped(over), grouped(f.Due), grouped(f.Sent))}
	at := 0.0
	for _, part := range []struct {
		class string
		n     int
	}{{"sent", f.Sent}, {"other", f.Suppressed + f.Empty}, {"bad", f.Bounced + f.Unknown + f.Expired}, {"doing", f.UnderWay + f.Deferred}} {
		width := 100 * float64(part.n) / float64(f.Due)
		if width > 0 {
			v.Parts = append(v.Parts, editionBarPart{part.class, tenths(at), tenths(width)})
		}
		at += width
	}
	return v
}

func tenths(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }

// wrongWords says that mails are in no state, or in two; "" when every one is in
// exactly one.
func wrongWords(a *news.EditionAccount) string {
	if addsUp(a) {
		return ""
	}
	f := a.EditionFigures
	sum := f.Waiting + f.UnderWay + f.Sent + f.Deferred + f.Bounced + f.Unknown + f.Expired + f.Suppressed + f.Empty
	return fmt.Sprintf("Does not add up: %s mails were due, the states have %s. Pause it and tell whoever runs this.", grouped(f.Due), grouped(sum))
}

// editionList reads the editions of a window, for every open page once.
func (p *Pages) editionList(ctx context.Context, date string) (editionsNow, error) {
	return p.editionLists.get(p.sinceChange(date), func() (editionsNow, error) {
		ctx := context.WithoutCancel(ctx)
		now := p.now()
		window, err := windowOf(date, now)
		if err != nil {
			return editionsNow{}, err
		}
		list, err := p.desk.editionsIn(ctx, window)
		if err != nil {
			return editionsNow{}, err
		}
		open, err := p.desk.editions.OpenPauses(ctx)
		if err != nil {
			return editionsNow{}, fmt.Errorf("desk: pauses of editions: %w", err)
		}
		open = slices.DeleteFunc(open, func(q news.EditionPause) bool {
			listed := slices.ContainsFunc(list, func(a news.EditionAccount) bool { return a.ID == q.Edition })
			return !listed && now.Sub(q.At) > pausesShown
		})
		return editionsNow{list, open, datesOf(list)}, nil
	})
}

// sinceChange is a key under which nothing is kept from before the last press of
// this process: whoever pressed sees what came of it.
func (p *Pages) sinceChange(key string) string {
	return strconv.FormatInt(p.editionTurn.Load(), 10) + " " + key
}

// datesOf puts editions under their local dates, the newest date first.
func datesOf(list []news.EditionAccount) []editionDate {
	byDate := map[string][]news.EditionAccount{}
	for _, a := range list {
		byDate[a.LocalDate] = append(byDate[a.LocalDate], a)
	}
	dates := sortedKeys(byDate)
	slices.Reverse(dates)
	out := make([]editionDate, 0, len(dates))
	for _, date := range dates {
		d := editionDate{Date: date, Words: dayWords(date)}
		var total news.EditionFigures
		for i := range byDate[date] {
			line := lineOfEdition(&byDate[date][i])
			if line.Wrong != "" {
				d.Wrong = "An edition of this date does not add up."
			}
			d.Lines = append(d.Lines, line)
			total = total.Plus(byDate[date][i].EditionFigures)
		}
		d.Totals, d.Bar = figuresOf(&total), barOf(&total)
		out = append(out, d)
	}
	return out
}

func lineOfEdition(a *news.EditionAccount) editionLine {
	return editionLine{ID: a.ID, Name: editionName(&a.Edition), At: instantWords(a.At), State: string(stateOf(a)), Weekly: a.Weekly,
		Figures: figuresOf(&a.EditionFigures), Bar: barOf(&a.EditionFigures), Wrong: wrongWords(a)}
}

func instantWords(t time.Time) string { return t.UTC().Format("2 Jan 15:04 MST") }

func (p *Pages) getEditionList(w http.ResponseWriter, r *http.Request) error {
	return p.showEditionList(w, r, http.StatusOK, "")
}

func (p *Pages) showEditionList(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	view := editionsView{Title: "Digests", By: web.PersonFrom(r.Context()), Problem: problem, Date: r.URL.Query().Get("date")}
	now := p.now()
	if _, err := windowOf(view.Date, now); err != nil {
		view.Problem, view.Date, status = sentence(err), "", web.StatusOf(err)
	}
	here, err := p.editionList(r.Context(), view.Date)
	if err != nil {
		return err
	}
	at := now.UTC()
	if view.Date != "" {
		at, _ = time.Parse(time.DateOnly, view.Date) // windowOf has read it
		view.Later = at.AddDate(0, 0, 1).Format(time.DateOnly)
	}
	view.Earlier = at.AddDate(0, 0, -1).Format(time.DateOnly)
	view.Live = p.liveOf(&here, view.By)
	if mayRunDigests(view.By) == nil {
		view.Pause = p.pauseFormOf(r, here.list)
	}
	return p.floor.Render(w, status, "desk/editions", view)
}

func (p *Pages) liveOf(here *editionsNow, by news.Person) editionsLive {
	v := editionsLive{May: mayRunDigests(by) == nil, Dates: here.dates}
	for i := range here.open {
		v.Pauses = append(v.Pauses, pauseOf(&here.open[i]))
	}
	return v
}

// renderEditions is the block "live" of the list, for whom the request is of.
func (p *Pages) renderEditions(r *http.Request) (string, error) {
	here, err := p.editionList(r.Context(), r.URL.Query().Get("date"))
	if err != nil {
		return "", err
	}
	return p.floor.Part("desk/editions", "live", p.liveOf(&here, web.PersonFrom(r.Context())))
}
