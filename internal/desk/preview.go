package desk

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/web"
)

// previewView is the block "preview": what an open form shows of what is in it,
// in parts that the page's script puts into their places.
type previewView struct {
	Write *writeView
	Card  *cardView
}

// getPreview answers with the form's content in words, its map and its blast
// card. It reads and changes nothing. The form's texts don't come along, only
// their languages: whom an alert reaches does not depend on what it says, and
// addresses have an end.
func (p *Pages) getPreview(w http.ResponseWriter, r *http.Request) error {
	a, err := p.desk.store.Alert(r.Context(), r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("desk: preview of alert %s: %w", r.PathValue("id"), err)
	}
	if a.State != news.AlertDraft && a.State != news.AlertSubmitted && a.State != news.AlertApproved {
		return fmt.Errorf("%w: an alert that is %s is not written any more", news.ErrConflict, a.State)
	}
	if err := may(web.PersonFrom(r.Context()), stepEdit); err != nil {
		return err
	}
	story, err := p.desk.store.Story(r.Context(), a.StoryURI)
	if err != nil {
		return fmt.Errorf("desk: story of alert %s: %w", a.ID, err)
	}
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: the form can't be read", news.ErrInvalid)
	}
	f := p.typed(&a, &story, form)
	html, err := p.floor.Part("desk/alert", "preview", previewView{p.writeOf(f, true), p.cardOf(r.Context(), f, f.differs(&a))})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, _ = strings.NewReader(html).WriteTo(w)
	return nil
}

// differs reports whether the form reaches other people than what is saved.
func (f *formed) differs(saved *news.Alert) bool {
	canonical := func(expr string) string {
		e, err := region.Parse(expr)
		if err != nil {
			return expr
		}
		return e.String()
	}
	return f.alert.Level != saved.Level || f.alert.Audience != canonical(saved.Audience) ||
		strings.Join(f.alert.Sections, " ") != strings.Join(saved.Sections, " ") ||
		strings.Join(sortedKeys(f.alert.Texts), " ") != strings.Join(sortedKeys(saved.Texts), " ")
}
