package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"dateline/internal/news"
	"dateline/internal/web"
)

// accountView is the page "desk/account".
type accountView struct {
	Title         string
	By            news.Person
	Problem, Name string // what did not work, and the name that was typed
	Passkeys      passkeyOffer
	Mine          []keyLine
	Provider      string // the host of the OpenID provider; "" when there is none
	Linked        []identityLine
}

type keyLine struct{ ID, Name, Since, Used string }

type identityLine struct{ Issuer, Since string }

func (p *Pages) keyringRoutes(mux *http.ServeMux) {
	if p.keyring == nil {
		return
	}
	mux.Handle("GET "+p.root+"/account", p.signedIn(p.getAccount))
	mux.Handle("POST "+p.root+"/account/passkeys/begin", p.signedIn(asked(p.beginAdding)))
	mux.Handle("POST "+p.root+"/account/passkeys", p.signedIn(p.mine(p.add)))
	mux.Handle("POST "+p.root+"/account/passkeys/remove", p.signedIn(p.mine(p.removePasskey)))
	mux.Handle("POST "+p.root+"/signin/passkey/begin", p.floor.Page(asked(p.beginEntering)))
	mux.Handle("POST "+p.root+"/signin/passkey", p.floor.Page(p.postPasskey))
	if p.provider == nil {
		return
	}
	mux.Handle("GET "+p.root+"/signin/oidc", p.floor.Page(p.getProvider))
	mux.Handle("GET "+p.root+"/signin/oidc/callback", p.floor.Page(p.getCallback))
	mux.Handle("POST "+p.root+"/account/identity", p.signedIn(p.postIdentity))
	mux.Handle("POST "+p.root+"/account/identity/remove", p.signedIn(p.mine(p.removeIdentity)))
}

func (p *Pages) getAccount(w http.ResponseWriter, r *http.Request) error {
	return p.showAccount(w, r, nil)
}

// showAccount shows how an editor comes in, with what went wrong.
func (p *Pages) showAccount(w http.ResponseWriter, r *http.Request, fault error) error {
	by := web.PersonFrom(r.Context())
	view := accountView{Title: "Your account", By: by, Passkeys: p.passkeyOffer(), Provider: p.provider.host()}
	kept, err := p.keyring.Passkeys(r.Context(), by.Name)
	if err != nil {
		return fmt.Errorf("desk: account of %s: %w", by.Name, err)
	}
	for _, k := range kept {
		line := keyLine{ID: k.ID, Name: k.Name, Since: clockTime(k.CreatedAt)}
		if !k.UsedAt.IsZero() {
			line.Used = clockTime(k.UsedAt)
		}
		view.Mine = append(view.Mine, line)
	}
	linked, err := p.keyring.Identities(r.Context(), by.Name)
	if err != nil {
		return fmt.Errorf("desk: account of %s: %w", by.Name, err)
	}
	for _, i := range linked {
		view.Linked = append(view.Linked, identityLine{i.Issuer, clockTime(i.CreatedAt)})
	}
	status := http.StatusOK
	if fault != nil {
		status, view.Problem, view.Name = web.StatusOf(fault), sentence(fault), r.PostFormValue("name")
	}
	return p.floor.Render(w, status, "desk/account", view)
}

// mine makes a form of the account page: what is refused is said on it.
func (p *Pages) mine(do func(r *http.Request) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := parseForm(w, r); err != nil {
			return err
		}
		switch err := do(r); {
		case err == nil:
			http.Redirect(w, r, p.root+"/account", http.StatusSeeOther)
			return nil
		case isRefusal(err):
			return p.showAccount(w, r, err)
		default:
			return err
		}
	}
}

// isRefusal reports whether an error is the person's to read beside her form.
func isRefusal(err error) bool {
	var limit *news.LimitError
	return errors.Is(err, news.ErrInvalid) || errors.Is(err, news.ErrConflict) || errors.Is(err, news.ErrForbidden) ||
		errors.Is(err, news.ErrNotFound) || errors.As(err, &limit)
}

// asked makes a door that a script of ours asks for options, as JSON; what is
// refused is {"problem"}.
func asked(do func(r *http.Request) (any, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := parseForm(w, r); err != nil {
			return err
		}
		answer, err := do(r)
		status := http.StatusOK
		if err != nil {
			if !isRefusal(err) {
				return err
			}
			status, answer = web.StatusOf(err), map[string]string{"problem": sentence(err)}
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		return json.NewEncoder(w).Encode(answer)
	}
}

func (p *Pages) removePasskey(r *http.Request) error {
	err := p.keyring.RemovePasskey(r.Context(), web.PersonFrom(r.Context()).Name, r.PostFormValue("id"))
	if errors.Is(err, news.ErrNotFound) {
		return nil // it was removed in another tab
	}
	return err
}

func (p *Pages) removeIdentity(r *http.Request) error {
	err := p.keyring.RemoveIdentity(r.Context(), web.PersonFrom(r.Context()).Name, r.PostFormValue("issuer"))
	if errors.Is(err, news.ErrNotFound) {
		return nil
	}
	return err
}
