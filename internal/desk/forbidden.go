package desk

import (
	"errors"
	"net/http"

	"dateline/internal/news"
	"dateline/internal/web"
)

// forbiddenView is the page "desk/forbidden".
type forbiddenView struct {
	Title  string
	By     news.Person
	Why    string
	Role   string   // what her role may do
	Chiefs []string // who can; nobody in a drill
}

// roleWords says what a role may do.
func roleWords(r news.Role) string {
	switch r {
	case news.RoleReporter:
		return "A reporter drafts alerts, writes and submits them, publishes stories and reads everything else."
	case news.RoleEditor:
		return "An editor drafts alerts, submits, approves those of others, releases, holds, corrects and kills, and has digests sent. People, keys, policies and caps are for chiefs."
	case news.RoleChief:
		return "A chief does what an editor does, and has people, keys, policies and caps."
	}
	return "Your role is not known here."
}

// explained answers whoever may not with what she may, who can, and the way
// back, where the floor would have a page that says nothing.
func (p *Pages) explained(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if !errors.Is(err, news.ErrForbidden) {
			return err
		}
		view := forbiddenView{Title: "Not for you", By: web.PersonFrom(r.Context()), Why: sentence(err)}
		view.Role = roleWords(view.By.Role)
		if p.people != nil {
			editors, failed := p.people.Editors(r.Context())
			if failed != nil { // the answer stands without names
				p.log.Warn("who is chief can't be read", "error", failed)
			}
			for _, e := range editors {
				if e.Role == news.RoleChief {
					view.Chiefs = append(view.Chiefs, e.Name)
				}
			}
		}
		return p.floor.Render(w, http.StatusForbidden, "desk/forbidden", view)
	}
}
