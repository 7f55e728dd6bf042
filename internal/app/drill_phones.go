package app

import (
	"net/http"
	"slices"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
	"dateline/internal/web"
)

// wallFresh is how long one look at every phone serves all who watch.
const wallFresh = 500 * time.Millisecond

// phonesShown are on the page: those that showed something last come first.
const phonesShown = 24

// phonesView is the page "desk/drillphones".
type phonesView struct {
	Title string
	By    news.Person
	Wall  phoneWall
	Live  string
}

// phoneWall is the part of it that changes by itself.
type phoneWall struct {
	All, With, Messages int
	Phones              []phoneView
}

type phoneView struct {
	Number                  int
	Place, Service, Follows string
	Clock                   string
	Notes                   []noteView // newest first
}

type noteView struct {
	Title, Body, Lang, Dir, Level, At string
	Revision, Repeats                 int
}

func (d *drill) getPhones(w http.ResponseWriter, r *http.Request) error {
	return d.floor.Render(w, http.StatusOK, "desk/drillphones",
		phonesView{Title: "Phones", By: web.PersonFrom(r.Context()), Wall: d.wallNow(), Live: web.DrillPath + "/phones/events"})
}

func (d *drill) renderPhones(*http.Request) (string, error) {
	return d.floor.Part("desk/drillphones", "wall", d.wallNow())
}

// wallNow is the wall of a moment ago at most: there may be 50,000 phones, and
// many who watch them.
func (d *drill) wallNow() phoneWall {
	d.looking.Lock()
	defer d.looking.Unlock()
	if time.Since(d.lookedAt) > wallFresh {
		d.looked, d.lookedAt = d.wall(), time.Now()
	}
	return d.looked
}

// wall looks at every phone and shows some.
func (d *drill) wall() phoneWall {
	d.mu.Lock()
	phones := d.phones[:len(d.phones):len(d.phones)]
	d.mu.Unlock()
	w := phoneWall{All: len(phones)}
	for i, p := range phones {
		shown := p.Shown()
		if len(shown) > 0 {
			w.With++
			w.Messages += len(shown)
		}
		// A fixed sample, so that the page can be followed: those that show
		// something, and the first ones until there are enough.
		if len(shown) > 0 && w.With <= phonesShown || i < phonesShown {
			w.Phones = append(w.Phones, phoneOf(i+1, p, shown))
		}
	}
	slices.SortStableFunc(w.Phones, func(a, b phoneView) int { return min(1, len(b.Notes)) - min(1, len(a.Notes)) })
	w.Phones = w.Phones[:min(len(w.Phones), phonesShown)]
	return w
}

func phoneOf(number int, p *drillPhone, shown []simulate.Notification) phoneView {
	v := phoneView{Number: number, Place: p.Label, Service: p.Service().Name(), Follows: p.Wishes.Language}
	for _, n := range slices.Backward(shown) {
		v.Notes = append(v.Notes, noteView{Title: n.Title, Body: n.Body, Lang: n.Lang, Dir: news.Direction(n.Lang), Level: n.Level,
			At: n.At.UTC().Format("15:04:05 MST"), Revision: n.Revision, Repeats: n.Repeats})
	}
	return v
}
