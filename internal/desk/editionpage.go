package desk

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// editionView is the page "desk/edition".
type editionView struct {
	Title   string
	By      news.Person
	Problem string
	ID      string
	Live    editionLive
	Pause   pauseForm
	// Resend is how many mails may be sent again; 0 when there is nothing to.
	Resend      int
	ResendWords string
	Typed       string
	May         bool
}

// editionLive is the block "live" of that page.
type editionLive struct {
	editionLine
	Date      string
	Path      string // of the page that lists its date
	May       bool
	Open      []pauseView
	Past      []pauseView
	Providers []providerLine
	Reasons   []reasonLine
	// Counted: opens and clicks are.
	Counted       bool
	Opens, Clicks string
	Left          string
	LeftSome      bool
	Complaints    string
}

type providerLine struct {
	Name    string
	Figures []figureView
	Hard    string // hard bounces, with their share of what was tried
}

type reasonLine struct{ Name, Number, Words string }

// pauseForm is the form by which an editor pauses. Without choices there is none.
type pauseForm struct {
	Editions  []choice // on the list's page
	ID        string   // on an edition's own
	Providers []choice
	Provider  string
	Reason    string
}

// Shown reports whether there is anything to be paused.
func (f pauseForm) Shown() bool { return f.ID != "" || len(f.Editions) > 0 }

// pauseFormOf offers the editions that have mails which could be kept back, with
// what was typed.
func (p *Pages) pauseFormOf(r *http.Request, list []news.EditionAccount) pauseForm {
	f := pauseForm{Provider: r.PostFormValue("provider"), Reason: r.PostFormValue("reason")}
	typed := r.PostFormValue("id")
	var providers []string
	for i := range list {
		a := &list[i]
		if stateOf(a) == editionDone {
			continue
		}
		c := choice{a.ID, editionName(&a.Edition) + ", " + dayWords(a.LocalDate)}
		if a.ID == typed { // the first is what the browser picks
			f.Editions = slices.Insert(f.Editions, 0, c)
		} else {
			f.Editions = append(f.Editions, c)
		}
		providers = append(providers, sortedKeys(a.Providers)...)
	}
	f.Providers = providerChoices(providers)
	return f
}

func providerChoices(keys []string) []choice {
	slices.Sort(keys)
	out := []choice{{"", "all providers"}}
	for _, key := range slices.Compact(keys) {
		if key != "" {
			out = append(out, choice{key, providerName(key)})
		}
	}
	return out
}

func (p *Pages) editionRoutes(mux *http.ServeMux) {
	if p.desk.editions == nil {
		return
	}
	root := p.root + "/editions"
	mux.Handle("GET "+root, p.signedIn(p.getEditionList))
	mux.Handle("GET "+root+"/events", p.Live(p.renderEditions))
	mux.Handle("GET "+root+"/one", p.signedIn(p.getEdition))
	mux.Handle("GET "+root+"/one/events", p.Live(p.renderEdition))
	mux.Handle("POST "+root+"/pause", p.signedIn(p.postEdition(func(ctx context.Context, by news.Person, f url.Values) error {
		_, err := p.desk.pauseEdition(ctx, by, f.Get("id"), f.Get("provider"), f.Get("reason"))
		return err
	})))
	mux.Handle("POST "+root+"/resume", p.signedIn(p.postEdition(func(ctx context.Context, by news.Person, f url.Values) error {
		_, err := p.desk.resumeEdition(ctx, by, f.Get("id"), f.Get("provider"))
		return err
	})))
	mux.Handle("POST "+root+"/resend", p.signedIn(p.postEdition(p.resend)))
	p.planRoutes(mux)
}

// resend reads the number that was typed: whoever types it has read it.
func (p *Pages) resend(ctx context.Context, by news.Person, f url.Values) error {
	count, err := strconv.Atoi(strings.NewReplacer(",", "", " ", "").Replace(f.Get("count")))
	if err != nil || count < 1 {
		return news.Invalid("number", "must be how many mails are unknown, as the page says it")
	}
	_, err = p.desk.resendUnknown(ctx, by, f.Get("id"), count)
	return err
}

// postEdition does what a form of either page asks, and goes back to that page.
func (p *Pages) postEdition(do func(ctx context.Context, by news.Person, f url.Values) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := parseForm(w, r); err != nil {
			return err
		}
		by, one := web.PersonFrom(r.Context()), r.PostFormValue("at") == "one"
		if err := mayRunDigests(by); err != nil {
			return err
		}
		err := do(r.Context(), by, r.PostForm)
		p.editionTurn.Add(1)
		switch {
		case err == nil && one:
			http.Redirect(w, r, p.root+"/editions/one?id="+url.QueryEscape(r.PostFormValue("id")), http.StatusSeeOther)
			return nil
		case err == nil:
			http.Redirect(w, r, p.root+"/editions", http.StatusSeeOther)
			return nil
		case !isRefusal(err):
			return err
		case one:
			return p.showEdition(w, r, r.PostFormValue("id"), web.StatusOf(err), sentence(err))
		}
		return p.showEditionList(w, r, web.StatusOf(err), sentence(err))
	}
}

func (p *Pages) getEdition(w http.ResponseWriter, r *http.Request) error {
	return p.showEdition(w, r, r.URL.Query().Get("id"), http.StatusOK, "")
}

// accountNow is the edition, for every open page of it once.
func (p *Pages) accountNow(ctx context.Context, id string) (news.EditionAccount, error) {
	return p.accountsOf.get(p.sinceChange(id), func() (news.EditionAccount, error) { return p.desk.edition(context.WithoutCancel(ctx), id) })
}

func (p *Pages) showEdition(w http.ResponseWriter, r *http.Request, id string, status int, problem string) error {
	a, err := p.accountNow(r.Context(), id)
	if err != nil {
		return err
	}
	by := web.PersonFrom(r.Context())
	view := editionView{Title: editionName(&a.Edition) + ", " + dayWords(a.LocalDate), By: by, Problem: problem, ID: id, Live: p.editionLiveOf(&a, by),
		May: mayRunDigests(by) == nil, Resend: a.Unknown, ResendWords: grouped(a.Unknown), Typed: r.PostFormValue("count")}
	if view.May && stateOf(&a) != editionDone {
		view.Pause = pauseForm{ID: id, Providers: providerChoices(sortedKeys(a.Providers)), Provider: r.PostFormValue("provider"), Reason: r.PostFormValue("reason")}
	}
	return p.floor.Render(w, status, "desk/edition", view)
}

func (p *Pages) editionLiveOf(a *news.EditionAccount, by news.Person) editionLive {
	v := editionLive{editionLine: lineOfEdition(a), Date: dayWords(a.LocalDate), Path: "/editions?date=" + a.LocalDate, May: mayRunDigests(by) == nil,
		Counted: p.desk.counted, Opens: grouped(a.Opens), Clicks: grouped(a.Clicks), Left: grouped(a.Left), LeftSome: a.Left > 0, Complaints: grouped(a.Complaints)}
	for i := range a.Pauses {
		if q := pauseOf(&a.Pauses[i]); q.Open {
			v.Open = append(v.Open, q)
		} else {
			v.Past = append(v.Past, q)
		}
	}
	for _, key := range sortedKeys(a.Providers) {
		f := a.Providers[key]
		line := providerLine{Name: providerName(key), Figures: figuresOf(&f), Hard: grouped(f.Hard)}
		if key == "" {
			line.Name = "not known"
		}
		if tried := f.Sent + f.Bounced; tried > 0 {
			line.Hard += " (" + tenths(100*float64(f.Hard)/float64(tried)) + " %)"
		}
		v.Providers = append(v.Providers, line)
	}
	for _, reason := range sortedKeys(a.Reasons) {
		v.Reasons = append(v.Reasons, reasonLine{reason, grouped(a.Reasons[reason]), reasonWords(reason)})
	}
	slices.SortStableFunc(v.Reasons, func(x, y reasonLine) int { return a.Reasons[y.Name] - a.Reasons[x.Name] })
	return v
}

// renderEdition is the block "live" of the edition that the request names.
func (p *Pages) renderEdition(r *http.Request) (string, error) {
	a, err := p.accountNow(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		return "", err
	}
	return p.floor.Part("desk/edition", "live", p.editionLiveOf(&a, web.PersonFrom(r.Context())))
}
