package desk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// editionRoutes are the doors of the digest's editions. Whatever is pressed at
// one answers with the edition as it is then.
func (d *Service) editionRoutes(mux *http.ServeMux) {
	door := func(pattern string, h web.Handler) { mux.Handle(pattern, d.floor.API(news.ScopeDigestsRun, h)) }
	door("GET /api/v1/editions", d.getEditions)
	door("POST /api/v1/editions/pause", d.postEdition(func(ctx context.Context, by news.Person, b editionBody) (news.EditionAccount, error) {
		return d.pauseEdition(ctx, by, b.ID, b.Provider, b.Reason)
	}))
	door("POST /api/v1/editions/resume", d.postEdition(func(ctx context.Context, by news.Person, b editionBody) (news.EditionAccount, error) {
		return d.resumeEdition(ctx, by, b.ID, b.Provider)
	}))
	door("POST /api/v1/editions/resend", d.postEdition(func(ctx context.Context, by news.Person, b editionBody) (news.EditionAccount, error) {
		return d.resendUnknown(ctx, by, b.ID, b.Count)
	}))
	door("GET /api/v1/editions/plan", d.getPlan)
	door("PUT /api/v1/editions/plan", d.putPlan)
}

// editionBody is what the doors that change an edition read; each uses its own
// fields.
type editionBody struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Reason   string `json:"reason"`
	Count    int    `json:"count"`
}

func (d *Service) postEdition(do func(context.Context, news.Person, editionBody) (news.EditionAccount, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var body editionBody
		if err := web.ReadJSON(w, r, &body, bodyLimit); err != nil {
			return err
		}
		a, err := do(r.Context(), web.PersonFrom(r.Context()), body)
		if err != nil {
			return cannot(err)
		}
		return web.WriteJSON(w, http.StatusOK, d.editionTo(&a))
	}
}

// cannot answers values that can be read and can't be done with 422.
func cannot(err error) error {
	if errors.Is(err, news.ErrInvalid) {
		return web.Status(http.StatusUnprocessableEntity, err)
	}
	return err
}

func (d *Service) getEditions(w http.ResponseWriter, r *http.Request) error {
	if err := mayRunDigests(web.PersonFrom(r.Context())); err != nil {
		return err
	}
	q := r.URL.Query()
	if id := q.Get("id"); id != "" {
		a, err := d.edition(r.Context(), id)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, d.editionTo(&a))
	}
	window, err := windowAsked(q, d.now())
	if err != nil {
		return err
	}
	list, err := d.editionsIn(r.Context(), window)
	if err != nil {
		return err
	}
	out := editionsJSON{Editions: make([]editionJSON, 0, len(list))}
	var totals news.EditionFigures
	for i := range list {
		out.Editions = append(out.Editions, d.editionTo(&list[i]))
		totals = totals.Plus(list[i].EditionFigures)
	}
	out.Totals = totalsTo(&totals)
	return web.WriteJSON(w, http.StatusOK, out)
}

// windowAsked reads date, or from and until, of which either may be missing.
func windowAsked(q url.Values, now time.Time) (editionWindow, error) {
	window, err := windowOf(q.Get("date"), now)
	if err != nil || q.Get("date") != "" || !q.Has("from") && !q.Has("until") {
		return window, err
	}
	var faults news.Problems
	at := func(name string, otherwise time.Time) time.Time {
		if q.Get(name) == "" {
			return otherwise
		}
		t, err := time.Parse(time.RFC3339, q.Get(name))
		if err != nil {
			faults.Add(name, "must be a time such as 2026-12-01T07:00:00+09:00")
		}
		return t
	}
	window.until = at("until", now.Add(editionsAhead))
	window.from = at("from", window.until.Add(-editionsBack))
	if len(faults) == 0 && (window.until.Before(window.from) || window.until.Sub(window.from) > longestWindow) {
		faults.Add("until", "must be after from, and at most 31 days after it")
	}
	return window, faults.Err()
}

// planOf reads which plan is asked for.
func (d *Service) planAsked(q url.Values) (date string, weekly bool, err error) {
	switch q.Get("weekly") {
	case "", "false", "0":
	case "true", "1":
		weekly = true
	default:
		return "", false, news.Invalid("weekly", "must be true or false")
	}
	if date = q.Get("date"); date == "" {
		date = nextDay(weekly, d.now())
	}
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return "", false, news.Invalid("date", "must be a date such as 2026-12-01")
	}
	return date, weekly, nil
}

func (d *Service) getPlan(w http.ResponseWriter, r *http.Request) error {
	if err := mayRunDigests(web.PersonFrom(r.Context())); err != nil {
		return err
	}
	date, weekly, err := d.planAsked(r.URL.Query())
	if err != nil {
		return err
	}
	p, err := d.plan(r.Context(), date, weekly)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, planTo(&p))
}

func (d *Service) putPlan(w http.ResponseWriter, r *http.Request) error {
	date, weekly, err := d.planAsked(r.URL.Query())
	if err != nil {
		return err
	}
	var body struct {
		Notes   map[string]string `json:"notes"`
		Pins    []string          `json:"pins"`
		Drops   []string          `json:"drops"`
		Version *int64            `json:"version"`
	}
	if err := web.ReadJSON(w, r, &body, bodyLimit); err != nil {
		return err
	}
	if body.Version == nil {
		return cannot(news.Invalid("version", "is required: that of the plan you read, 0 for none"))
	}
	p, err := d.setPlan(r.Context(), web.PersonFrom(r.Context()), news.EditionPlan{LocalDate: date, Weekly: weekly, Notes: body.Notes, Pins: body.Pins,
		Drops: body.Drops, Version: *body.Version})
	if err != nil {
		return cannot(err)
	}
	return web.WriteJSON(w, http.StatusOK, planTo(&p))
}
