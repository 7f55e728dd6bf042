package desk

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// bodyLimit bounds a request: 64 texts of at most 1,500 bytes, escaped, and
// room for an expression.
const bodyLimit = 256 << 10

// Floor answers errors and checks keys; *web.Floor is one.
type Floor interface {
	API(scope string, h web.Handler) http.Handler
}

// Routes puts the desk's machine doors (DESIGN 9) on the mux. All answer with
// the alert as JSON (alertJSON), the list with {"alerts":[…]}.
func (d *Service) Routes(mux *http.ServeMux) {
	mux.Handle("POST /api/v1/alerts", d.floor.API(stepDraft.scope(), d.postAlert))
	mux.Handle("GET /api/v1/alerts", d.floor.API(news.ScopeAlertsRead, d.getAlerts))
	mux.Handle("GET /api/v1/alerts/{id}", d.floor.API(news.ScopeAlertsRead, d.getAlert))
	for s, act := range d.acts() {
		mux.Handle("POST /api/v1/alerts/{id}/"+string(s), d.floor.API(s.scope(), post(act)))
	}
	if d.editions != nil {
		d.editionRoutes(mux)
	}
}

// stepBody is what the steps' doors read; each uses its own fields. The body
// may be empty where nothing is required.
type stepBody struct {
	Hash   string              `json:"hash"`
	Reason string              `json:"reason"`
	Texts  map[string]textJSON `json:"texts"`
}

type act func(ctx context.Context, by news.Person, id string, body stepBody) (View, error)

func (d *Service) acts() map[step]act {
	return map[step]act{
		stepSubmit: func(ctx context.Context, by news.Person, id string, _ stepBody) (View, error) {
			return d.Submit(ctx, by, id)
		},
		stepApprove: func(ctx context.Context, by news.Person, id string, b stepBody) (View, error) {
			return d.Approve(ctx, by, id, b.Hash)
		},
		stepRelease: func(ctx context.Context, by news.Person, id string, b stepBody) (View, error) {
			return d.Release(ctx, by, id, b.Hash)
		},
		stepHold: func(ctx context.Context, by news.Person, id string, b stepBody) (View, error) {
			return d.Hold(ctx, by, id, b.Reason)
		},
		stepResume: func(ctx context.Context, by news.Person, id string, _ stepBody) (View, error) {
			return d.Resume(ctx, by, id)
		},
		stepCancel: func(ctx context.Context, by news.Person, id string, b stepBody) (View, error) {
			return d.Cancel(ctx, by, id, b.Reason)
		},
		stepKill: func(ctx context.Context, by news.Person, id string, b stepBody) (View, error) {
			return d.Kill(ctx, by, id, b.Reason)
		},
		stepCorrect: func(ctx context.Context, by news.Person, id string, b stepBody) (View, error) {
			return d.Correct(ctx, by, id, textsFrom(b.Texts))
		},
	}
}

func post(do act) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var body stepBody
		raw, err := web.ReadBody(w, r, bodyLimit)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(raw)) > 0 {
			if err := web.DecodeJSON(raw, &body); err != nil {
				return err
			}
		}
		v, err := do(r.Context(), web.PersonFrom(r.Context()), r.PathValue("id"), body)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, alertFrom(v))
	}
}

func (d *Service) postAlert(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Story    string              `json:"story"`
		Level    string              `json:"level"`
		Texts    map[string]textJSON `json:"texts"`
		Audience string              `json:"audience"`
		Sections []string            `json:"sections"`
		Final    bool                `json:"final"`
		Deadline string              `json:"deadline"`
	}
	if err := web.ReadJSON(w, r, &body, bodyLimit); err != nil {
		return err
	}
	writing := Writing{StoryURI: body.Story, Level: body.Level, Texts: textsFrom(body.Texts),
		Audience: body.Audience, Sections: body.Sections, Final: &body.Final}
	if body.Deadline != "" {
		deadline, err := time.Parse(time.RFC3339, body.Deadline)
		if err != nil {
			writing.faults.Add("deadline", "must be a time such as 2026-11-24T07:00:00+09:00")
		}
		writing.Deadline = deadline
	}
	v, err := d.Draft(r.Context(), web.PersonFrom(r.Context()), writing)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/alerts/"+v.Alert.ID)
	return web.WriteJSON(w, http.StatusCreated, alertFrom(v))
}

func (d *Service) getAlerts(w http.ResponseWriter, r *http.Request) error {
	var views []View
	var err error
	if uri := r.URL.Query().Get("story"); uri != "" {
		views, err = d.AlertsOfStory(r.Context(), uri)
	} else {
		views, err = d.Newest(r.Context())
	}
	if err != nil {
		return err
	}
	list := make([]alertJSON, 0, len(views))
	for _, v := range views {
		list = append(list, alertFrom(v))
	}
	return web.WriteJSON(w, http.StatusOK, map[string]any{"alerts": list})
}

func (d *Service) getAlert(w http.ResponseWriter, r *http.Request) error {
	v, err := d.Alert(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, alertFrom(v))
}
