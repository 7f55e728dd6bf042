package digest

import (
	"net/http"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// maxRunBody is what the body of a run may take: one instant.
const maxRunBody = 4 << 10

// Routes hangs up the door: POST /api/v1/digests/run, scope digests:run.
func (s *Service) Routes(mux *http.ServeMux) {
	mux.Handle("POST /api/v1/digests/run", s.Floor.API(news.ScopeDigestsRun, s.postRun))
}

func (s *Service) postRun(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		At string `json:"at"`
	}
	if err := web.ReadJSON(w, r, &body, maxRunBody); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, body.At)
	if err != nil {
		return web.Status(http.StatusUnprocessableEntity, news.Invalid("at", `must be an instant with its zone, such as "2026-11-24T07:00:00+09:00"`))
	}
	if at.After(s.now().Add(maxAhead)) {
		return web.Status(http.StatusUnprocessableEntity, news.Invalid("at", "must be at most %d hours ahead", int(maxAhead/time.Hour)))
	}
	web.NoDeadline(w) // it answers when done
	f, err := s.RunAt(r.Context(), at)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, map[string]int{"due": f.Due, "sent": f.Sent, "deferred": f.Deferred, "empty": f.Empty,
		"failed": f.Failed, "unknown": f.Unknown})
}
