package desk

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// overWord is what a chief types to release over the newsroom's cap.
const overWord = "over"

// overCap reads whether somebody typed that she means to go over the cap.
func overCap(r *http.Request) bool {
	return strings.EqualFold(strings.TrimSpace(r.PostFormValue("over")), overWord)
}

// capsView is the page "desk/caps".
type capsView struct {
	Title   string
	By      news.Person
	Problem string
	May     bool // change them
	Caps    []capView
}

type capView struct{ Level, Hour, Day, Says string }

// rooms says, level by level, what the newsroom's caps leave.
func (p *Pages) rooms(r *http.Request) ([]capView, error) {
	var out []capView
	for _, level := range news.CappedLevels() {
		room, err := p.desk.store.Room(r.Context(), level)
		if err != nil {
			return nil, fmt.Errorf("desk: what the cap of %s leaves: %w", level, err)
		}
		out = append(out, capView{level.String(), strconv.Itoa(room.Cap.Hour), strconv.Itoa(room.Cap.Day), room.Says(level, p.desk.now())})
	}
	return out, nil
}

func (p *Pages) getCaps(w http.ResponseWriter, r *http.Request) error {
	return p.showCaps(w, r, http.StatusOK, "")
}

func (p *Pages) showCaps(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	view := capsView{Title: "Caps", By: web.PersonFrom(r.Context()), Problem: problem}
	view.May = view.By.Role == news.RoleChief
	var err error
	if view.Caps, err = p.rooms(r); err != nil {
		return err
	}
	for i, c := range view.Caps { // nobody types twice
		if problem != "" {
			view.Caps[i].Hour, view.Caps[i].Day = r.PostFormValue("hour."+c.Level), r.PostFormValue("day."+c.Level)
		}
	}
	return p.floor.Render(w, status, "desk/caps", view)
}

func (p *Pages) postCaps(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	err := p.setCaps(r)
	switch {
	case err == nil:
		http.Redirect(w, r, p.root+"/caps", http.StatusSeeOther)
		return nil
	case errors.Is(err, news.ErrInvalid), errors.Is(err, news.ErrForbidden):
		return p.showCaps(w, r, web.StatusOf(err), sentence(err))
	}
	return err
}

func (p *Pages) setCaps(r *http.Request) error {
	by := web.PersonFrom(r.Context())
	if by.Role != news.RoleChief || !by.SignedIn {
		return fmt.Errorf("%w: a chief sets the newsroom's caps", news.ErrForbidden)
	}
	caps, faults := news.Caps{}, news.Problems{}
	for _, level := range news.CappedLevels() {
		hour, err1 := strconv.Atoi(strings.TrimSpace(r.PostFormValue("hour." + level.String())))
		day, err2 := strconv.Atoi(strings.TrimSpace(r.PostFormValue("day." + level.String())))
		c := news.Cap{Hour: hour, Day: day}
		if err1 != nil || err2 != nil {
			faults.Add(level.String(), "needs two whole numbers; 0 and 0 lift the cap")
			continue
		}
		faults.Take(level.String(), c.Check())
		caps[level] = c
	}
	if err := faults.Err(); err != nil {
		return err
	}
	if err := p.desk.store.SetCaps(r.Context(), caps, by.Name); err != nil {
		return fmt.Errorf("desk: set the caps: %w", err)
	}
	return nil
}
