package desk

import (
	"fmt"
	"net/http"
	"net/url"

	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/web"
)

// phonesEach is how many browsers one editor is called on: phone, tablet, desk
// and what she had before.
const phonesEach = 10

// phoneView is the page "desk/phone".
type phoneView struct {
	Title   string
	By      news.Person
	Problem string
	Key     string // the VAPID public key; "": nobody can be called
	Phones  []phoneLine
	Called  bool // a test was sent
}

type phoneLine struct{ ID, Service, Since string }

func (p *Pages) getPhone(w http.ResponseWriter, r *http.Request) error {
	return p.showPhone(w, r, http.StatusOK, "")
}

func (p *Pages) showPhone(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	view := phoneView{Title: "Your phone", By: web.PersonFrom(r.Context()), Problem: problem, Called: r.URL.Query().Has("called")}
	if p.phones != nil {
		view.Key = p.sender.PublicKey()
		mine, err := p.phonesOf(r, view.By.Name)
		if err != nil {
			return err
		}
		for _, m := range mine {
			view.Phones = append(view.Phones, phoneLine{m.ID, serviceOf(m.Push.Endpoint), clockTime(m.CreatedAt)})
		}
	}
	return p.floor.Render(w, status, "desk/phone", view)
}

func (p *Pages) phonesOf(r *http.Request, editor string) ([]news.Phone, error) {
	all, err := p.phones.Phones(r.Context())
	if err != nil {
		return nil, fmt.Errorf("desk: the phones of %s: %w", editor, err)
	}
	var mine []news.Phone
	for _, m := range all {
		if m.Editor == editor {
			mine = append(mine, m)
		}
	}
	return mine, nil
}

// serviceOf is all that is shown of an endpoint, whose path is a secret.
func serviceOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "unknown"
	}
	return u.Hostname()
}

// postPhone keeps the browser's subscription; its script is told by the status.
func (p *Pages) postPhone(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	if err := p.addPhone(r); err != nil {
		if web.StatusOf(err) >= http.StatusInternalServerError {
			return err
		}
		return p.showPhone(w, r, web.StatusOf(err), sentence(err))
	}
	http.Redirect(w, r, p.root+"/phone", http.StatusSeeOther)
	return nil
}

func (p *Pages) addPhone(r *http.Request) error {
	if p.phones == nil {
		return fmt.Errorf("%w: nobody can be called from here", news.ErrConflict)
	}
	sub, err := push.ParseSubscription(r.PostFormValue("endpoint"), r.PostFormValue("p256dh"), r.PostFormValue("auth"))
	if err != nil {
		return err
	}
	if err := p.sender.CheckSubscription(sub); err != nil {
		return err
	}
	by := web.PersonFrom(r.Context())
	return p.phones.AddPhone(r.Context(), news.Phone{Editor: by.Name, Push: sub, CreatedAt: p.now()}, phonesEach, p.floor.SessionHash(r))
}

func (p *Pages) postPhoneRemove(w http.ResponseWriter, r *http.Request) error {
	if p.phones == nil {
		return fmt.Errorf("%w: there are no phones", news.ErrNotFound)
	}
	if err := p.phones.RemovePhone(r.Context(), web.PersonFrom(r.Context()).Name, r.PathValue("id")); err != nil {
		return err
	}
	http.Redirect(w, r, p.root+"/phone", http.StatusSeeOther)
	return nil
}

// postPhoneTest calls the editor's own phones.
func (p *Pages) postPhoneTest(w http.ResponseWriter, r *http.Request) error {
	by := web.PersonFrom(r.Context())
	if err := p.guard.calls.Take(by.Name); err != nil {
		return p.showPhone(w, r, web.StatusOf(err), sentence(err))
	}
	p.desk.notify.Notify(r.Context(), news.CallTest, news.Alert{ID: "test-" + by.Name}, by.Name)
	http.Redirect(w, r, p.root+"/phone?called", http.StatusSeeOther)
	return nil
}

// worker serves the desk's service worker, whose scope is the desk. It shows no
// secret, and browsers look for a new one without anybody signed in.
func (p *Pages) worker() http.Handler {
	a, ok := p.floor.(interface {
		Asset(name string, change func([]byte) []byte) (http.Handler, error)
	})
	if !ok {
		return http.NotFoundHandler()
	}
	h, err := a.Asset("desk/sw.js", nil)
	if err != nil { // a floor without our templates, in others' tests
		return http.NotFoundHandler()
	}
	return h
}
