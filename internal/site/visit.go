package site

import (
	"fmt"
	"net/http"

	"dateline/internal/link"
	"dateline/internal/news"
)

// pixel is a transparent picture of one point (GIF89a).
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// visit leads from a digest's link to its story, and counts it, where the publisher has
// such things counted: of all readers of the edition together, and nothing about who
// comes. The story is named by a signed token and looked up, so that nobody can make a
// link of ours lead elsewhere (T79). The count is a figure and no more: programs that
// look at every link of a mail are in it.
func (s *Site) visit(w http.ResponseWriter, r *http.Request) error {
	id, err := s.Links.Verify(link.Visit, r.PathValue("token"), s.Now())
	if err != nil {
		return err
	}
	edition, uri := link.ParseVisitID(id)
	if s.CountVisits && r.Method == http.MethodGet {
		if err := s.Store.CountVisit(r.Context(), edition, uri); err != nil {
			s.Logger.WarnContext(r.Context(), "visit not counted", "error", err) // the reader wants her story
		}
	}
	if uri == "" {
		w.Header().Set("Content-Type", "image/gif")
		_, err := w.Write([]byte(pixel))
		return err
	}
	stories, err := s.Store.StoriesByURI(r.Context(), []string{uri})
	if err != nil {
		return fmt.Errorf("site.visit: %w", err)
	}
	story, ok := stories[uri]
	if !ok || story.Status != news.Usable {
		return fmt.Errorf("%w: this story is not there any more", news.ErrGone)
	}
	http.Redirect(w, r, story.URL, http.StatusFound)
	return nil
}
