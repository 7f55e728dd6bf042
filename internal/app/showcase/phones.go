package showcase

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"dateline/internal/web"
)

// phonesPerPage fills a wide window a few times over and stays quick to draw.
const phonesPerPage = 60

// The choices of the menu "show".
const (
	showAll      = ""
	showBreaking = "breaking"
	showWithout  = "without"
	showSome     = "some"
	showNone     = "none"
)

// wall is the page of phones.
type wall struct {
	frame
	pager
	Query     string
	Languages []option
	Services  []option
	Shows     []option
	Filtered  bool
	Sorted    bool // phones with a notification stand first
	Totals    totals
	Phones    []screen
}

// totals is the head of the page.
type totals struct {
	Phones, Shown, Notes, Repeats string
	Asleep                        string // phones in their quiet hours
	Breaking                      *breaking
	Services                      []serviceTotals
}

// breaking is the alert that went out last.
type breaking struct {
	ID, Level, Title, Lang, Dir string
	Phones                      string
	Half, Most, All             string // time from its release; "" when unknown
	First                       string
}

// serviceTotals is one push service.
type serviceTotals struct {
	Name               string
	Phones, With, Took string
	Share              int // of its phones that show the breaking alert, in thousandths
}

func (s *Showcase) phonesPage(page string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return s.floor.Render(w, http.StatusOK, page, s.wall(r))
	}
}

func (s *Showcase) wall(r *http.Request) wall {
	now, c := s.now(), s.phones()
	query := kept(r.URL.Query(), "q", "lang", "service", "show")
	all := c.census(now)
	found := c.find(query, all)
	sorted := query.Get("show") == showAll && all.front(found)
	p := newPager("/phones", query, r.URL.Query().Get("page"), len(found), phonesPerPage)
	v := wall{frame: frame{Title: "Phones", Tab: "phones"}, pager: p, Query: query.Get("q"), Filtered: len(query) > 0, Sorted: sorted,
		Languages: choose(c.languages, query.Get("lang")), Services: c.serviceMenu(query.Get("service")),
		Shows: showMenu(query.Get("show")), Totals: c.totals(all)}
	from, to := p.bounds()
	for _, i := range found[from:to] {
		one := newScreen(i+1, c.phones[i], now.In(c.where[i]), all.breaking)
		if s.why != nil && all.breaking != nil {
			one.Why = s.why(r.Context(), c.phones[i], all.breaking.id)
		}
		v.Phones = append(v.Phones, one)
	}
	return v
}

// find lists the phones that a query asks for.
func (c *crowd) find(query url.Values, all *census) []int {
	typed, lang, service := wordsOf(query.Get("q")), query.Get("lang"), query.Get("service")
	found := []int{}
	for i, p := range c.phones {
		if lang != "" && p.Wishes.Language != lang ||
			service != "" && c.services[c.service[i]].Name() != service ||
			!all.shows(i, query.Get("show")) || !c.words[i].has(typed, i+1) {
			continue
		}
		found = append(found, i)
	}
	return found
}

// front puts the phones that show something before the others, each group by
// number, and reports whether there are both: most phones of a quiet hour have
// an empty screen.
func (all *census) front(found []int) bool {
	slices.SortStableFunc(found, func(a, b int) int {
		switch {
		case all.some[a] == all.some[b]:
			return 0
		case all.some[a]:
			return -1
		}
		return 1
	})
	return len(found) > 0 && all.some[found[0]] && !all.some[found[len(found)-1]]
}

func (all *census) shows(i int, what string) bool {
	switch what {
	case showBreaking:
		return all.has(i)
	case showWithout:
		return !all.has(i)
	case showSome:
		return all.some[i]
	case showNone:
		return !all.some[i]
	}
	return true
}

func showMenu(chosen string) []option {
	return choose([]option{{Value: showAll, Text: "All phones"}, {Value: showBreaking, Text: "With the breaking alert"},
		{Value: showWithout, Text: "Without the breaking alert"}, {Value: showSome, Text: "With any notification"},
		{Value: showNone, Text: "With an empty screen"}}, chosen)
}

func (c *crowd) serviceMenu(chosen string) []option {
	var menu []option
	for _, s := range c.services {
		menu = append(menu, option{Value: s.Name(), Text: s.Name()})
	}
	return choose(menu, chosen)
}

func (c *crowd) totals(all *census) totals {
	t := totals{Phones: thousands(len(c.phones)), Shown: thousands(all.shown), Notes: thousands(all.notes), Asleep: thousands(all.asleep)}
	if all.repeats > 0 {
		t.Repeats = thousands(all.repeats)
	}
	perService := make([]int, len(c.services))
	for _, s := range c.service {
		perService[s]++
	}
	for i, s := range c.services {
		st := serviceTotals{Name: s.Name(), Phones: thousands(perService[i]), With: "0", Took: thousands(s.Requests())}
		if all.breaking != nil {
			st.With, st.Share = thousands(all.breaking.byService[i]), 1000*all.breaking.byService[i]/perService[i]
		}
		t.Services = append(t.Services, st)
	}
	if b := all.breaking; b != nil {
		t.Breaking = &breaking{ID: b.id, Level: b.level, Title: b.title, Lang: b.lang, Dir: b.dir, Phones: thousands(b.count)}
		if len(b.after) > 0 {
			t.Breaking.First, t.Breaking.Half = seconds(b.within(0)), seconds(b.within(0.5))
			t.Breaking.Most, t.Breaking.All = seconds(b.within(0.99)), seconds(b.within(1))
		}
	}
	return t
}

// seconds is a short time as one says it.
func seconds(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}
