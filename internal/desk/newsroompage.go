package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// People is the newsroom as its chiefs change it. Every change names who made
// it.
type People interface {
	Newsroom
	Members(ctx context.Context) ([]news.Member, error)
	RemoveEditor(ctx context.Context, name, by string) error
	SignOutEverywhere(ctx context.Context, editor, by string) error
	APIKeys(ctx context.Context) ([]news.APIKey, error)
	RevokeAPIKey(ctx context.Context, id, by string) error
	Policies(ctx context.Context) (news.Policies, error)
	SetPolicies(ctx context.Context, p news.Policies, by string) error
}

// newsroomView is the page "desk/newsroom".
type newsroomView struct {
	Title   string
	By      news.Person
	Problem string
	// Secret is what this answer alone shows: an invitation's link or a key.
	Secret   *secretView
	Members  []memberLine
	Keys     []apiKeyLine
	Policies []policyLine
	Roles    []news.Role
	Scopes   []scopeChoice
	Lives    []choice
	Typed    newsroomTyped
}

// newsroomTyped is what stood in a form that was refused.
type newsroomTyped struct {
	Name, Role    string // of who was to be invited
	Level, Policy string
	Editor, Life  string // of a key
	Scopes        []string
}

func typedInto(r *http.Request) (t newsroomTyped) {
	switch _, door, _ := strings.Cut(r.URL.Path, "/newsroom/"); door {
	case "invite":
		t.Name, t.Role = r.PostFormValue("name"), r.PostFormValue("role")
	case "policy":
		t.Level, t.Policy = r.PostFormValue("level"), r.PostFormValue("policy")
	case "keys":
		t.Editor, t.Life, t.Scopes = r.PostFormValue("editor"), r.PostFormValue("life"), r.PostForm["scope"]
	}
	return t
}

type secretView struct{ Words, Text string }

type memberLine struct {
	Name                   string
	Role                   news.Role
	Joined                 bool
	SignedIn, InvitedUntil string
	Passkeys, Sessions     int
	Linked                 bool
	Self                   bool
	Picked                 bool // in the form for a key
}

type apiKeyLine struct{ ID, Editor, Scopes, Since, Until string }

type scopeChoice struct {
	Name     string
	Own      bool   // for a chief's own key alone
	Powerful bool   // and not for long
	Roles    string // that can have it
	Ticked   bool
}

type policyLine struct {
	Level   string
	Now     news.Policy
	Chosen  news.Policy // in the form
	Choices []policyChoice
	// Typed asks for the word auto: nobody would read what wakes people.
	Typed bool
}

type policyChoice struct {
	Policy news.Policy
	Words  string
}

// policyChoices says of each policy what it means.
func policyChoices() []policyChoice {
	return []policyChoice{
		{news.PolicyAuto, "It goes by itself, at once: no editor sees it first, and there is no countdown to undo."},
		{news.PolicyOne, "One editor releases it, her own as well; it counts down and can be undone."},
		{news.PolicyTwo, "Two different editors: one writes or submits it, another approves exactly that, then it is released."},
	}
}

func (p *Pages) newsroomRoutes(mux *http.ServeMux) {
	if p.people == nil {
		return
	}
	path := p.root + "/newsroom"
	mux.Handle("GET "+path, p.chief(p.getNewsroom))
	for name, do := range map[string]newsroomStep{"invite": p.invite, "renew": p.renew, "role": p.changeRole, "remove": p.removeMember,
		"signout": p.signMemberOut, "keys": p.makeKey, "keys/revoke": p.revokeKey, "policy": p.setPolicy} {
		mux.Handle("POST "+path+"/"+name, p.chief(p.postNewsroom(do)))
	}
}

// chief makes a page for chiefs. The role is the one she has now.
func (p *Pages) chief(h web.Handler) http.Handler {
	return p.signedIn(func(w http.ResponseWriter, r *http.Request) error {
		if by := web.PersonFrom(r.Context()); by.Role != news.RoleChief {
			return fmt.Errorf("%w: a chief does this; you are here as %s", news.ErrForbidden, by.Role)
		}
		return h(w, r)
	})
}

// newsroomStep is one thing a chief does; secret is what is shown once.
type newsroomStep func(ctx context.Context, by string, r *http.Request) (secret *secretView, err error)

func (p *Pages) postNewsroom(do newsroomStep) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := parseForm(w, r); err != nil {
			return err
		}
		secret, err := do(r.Context(), web.PersonFrom(r.Context()).Name, r)
		switch {
		case err == nil && secret == nil:
			p.rollcall()
			http.Redirect(w, r, p.root+"/newsroom", http.StatusSeeOther)
			return nil
		case err == nil:
			return p.showNewsroom(w, r, newsroomView{Secret: secret}, http.StatusOK)
		case isRefusal(err):
			return p.showNewsroom(w, r, newsroomView{Problem: sentence(err), Typed: typedInto(r)}, web.StatusOf(err))
		}
		return err
	}
}

func (p *Pages) getNewsroom(w http.ResponseWriter, r *http.Request) error {
	return p.showNewsroom(w, r, newsroomView{}, http.StatusOK)
}

func (p *Pages) showNewsroom(w http.ResponseWriter, r *http.Request, view newsroomView, status int) error {
	view.Title, view.By = "The newsroom", web.PersonFrom(r.Context())
	view.Roles = []news.Role{news.RoleReporter, news.RoleEditor, news.RoleChief}
	for _, s := range news.Scopes() {
		view.Scopes = append(view.Scopes, scopeChoice{s, personal(s), powerful(s), rolesWith(s), slices.Contains(view.Typed.Scopes, s)})
	}
	view.Lives = []choice{{"24h", "24 hours"}, {"720h", "30 days"}, {"2160h", "90 days"}, {"", "until it is revoked"}}
	if err := p.fillNewsroom(r.Context(), &view); err != nil {
		return fmt.Errorf("desk: the newsroom: %w", err)
	}
	return p.floor.Render(w, status, "desk/newsroom", view)
}

// rolesWith are the roles that can have a scope.
func rolesWith(scope string) string {
	var with []string
	for _, r := range []news.Role{news.RoleReporter, news.RoleEditor, news.RoleChief} {
		if slices.Contains(RoleScopes(r), scope) {
			with = append(with, string(r))
		}
	}
	return strings.Join(with, " ")
}

func (p *Pages) fillNewsroom(ctx context.Context, view *newsroomView) error {
	members, err := p.people.Members(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		line := memberLine{Name: m.Name, Role: m.Role, Joined: m.Joined, Passkeys: m.Passkeys, Sessions: m.Sessions,
			Linked: m.Identities > 0, Self: m.Name == view.By.Name,
			Picked: m.Name == cmp.Or(view.Typed.Editor, view.By.Name)}
		if !m.SignedInAt.IsZero() {
			line.SignedIn = clockTime(m.SignedInAt)
		}
		if !m.InvitedUntil.IsZero() {
			line.InvitedUntil = clockTime(m.InvitedUntil)
		}
		view.Members = append(view.Members, line)
	}
	keys, err := p.people.APIKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		until := "until it is revoked"
		if !k.ExpiresAt.IsZero() {
			until = "until " + clockTime(k.ExpiresAt)
		}
		view.Keys = append(view.Keys, apiKeyLine{k.ID, k.Editor, strings.Join(k.Scopes, " "), clockTime(k.CreatedAt), until})
	}
	policies, err := p.people.Policies(ctx)
	if err != nil {
		return err
	}
	for _, l := range []news.Level{news.LevelFlash, news.LevelBulletin, news.LevelNotice} {
		line := policyLine{Level: l.String(), Now: policies[l], Chosen: policies[l], Choices: policyChoices(), Typed: l != news.LevelNotice}
		if view.Typed.Level == line.Level {
			line.Chosen = news.Policy(view.Typed.Policy)
		}
		view.Policies = append(view.Policies, line)
	}
	return nil
}

// invite adds somebody new.
func (p *Pages) invite(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	name, err := editorName(r.PostFormValue("name"))
	if err != nil {
		return nil, err
	}
	if known, err := findEditor(ctx, p.people, name); err == nil {
		return nil, fmt.Errorf("%w: there is an editor %s already; renew her invitation below", news.ErrConflict, known.Name)
	} else if !errors.Is(err, news.ErrNotFound) {
		return nil, err
	}
	e, err := AddEditor(ctx, p.people, name, news.Role(r.PostFormValue("role")), by, p.now())
	if err != nil {
		return nil, err
	}
	return p.invitation(ctx, e.Name, by)
}

// renew is for a new phone or a lost password.
func (p *Pages) renew(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	e, err := findEditor(ctx, p.people, r.PostFormValue("name"))
	if err != nil {
		return nil, err
	}
	return p.invitation(ctx, e.Name, by)
}

func (p *Pages) invitation(ctx context.Context, name, by string) (*secretView, error) {
	path, until, err := Invite(ctx, p.people, name, by, p.now())
	if err != nil {
		return nil, err
	}
	return &secretView{fmt.Sprintf("The invitation of %s, good once, until %s. Give it to nobody else; it is shown this once.", name, clockTime(until)),
		p.origin + path}, nil
}

func (p *Pages) changeRole(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	e, err := findEditor(ctx, p.people, r.PostFormValue("name"))
	if err != nil {
		return nil, err
	}
	_, err = AddEditor(ctx, p.people, e.Name, news.Role(r.PostFormValue("role")), by, p.now())
	return nil, err
}

// removeMember asks for the name once more.
func (p *Pages) removeMember(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	name := r.PostFormValue("name")
	if !strings.EqualFold(news.CleanLine(r.PostFormValue("typed")), name) {
		return nil, news.Invalid("confirmation", "must be the name %s, to take this person out of the newsroom", firstRunes(name, longestName))
	}
	return nil, p.people.RemoveEditor(ctx, name, by)
}

func (p *Pages) signMemberOut(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	e, err := findEditor(ctx, p.people, r.PostFormValue("name"))
	if err != nil {
		return nil, err
	}
	return nil, p.people.SignOutEverywhere(ctx, e.Name, by)
}

// makeKey makes an API key. One that can write, approve or release alerts acts for
// its own chief alone: with another's she would be two persons.
func (p *Pages) makeKey(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	wish := KeyWish{Editor: r.PostFormValue("editor"), Scopes: r.PostForm["scope"], By: by}
	if wish.Editor != by && slices.ContainsFunc(wish.Scopes, personal) {
		return nil, fmt.Errorf("%w: a key that can write, approve or release alerts is made here for yourself only; `dateline apikey add` on the server makes others", news.ErrForbidden)
	}
	if life := r.PostFormValue("life"); life != "" {
		d, err := time.ParseDuration(life)
		if err != nil {
			return nil, news.Invalid("life", "must be a time such as 24h")
		}
		wish.Life = d
	}
	secret, k, err := AddAPIKey(ctx, p.people, wish, p.now())
	if err != nil {
		return nil, err
	}
	until := "until it is revoked"
	if !k.ExpiresAt.IsZero() {
		until = "until " + clockTime(k.ExpiresAt)
	}
	return &secretView{fmt.Sprintf("The key of %s for %s, %s. It is shown this once.", k.Editor, strings.Join(k.Scopes, ", "), until), secret}, nil
}

// personal reports whether a scope makes its editor one of the two who must agree.
func personal(scope string) bool { return powerful(scope) || scope == news.ScopeAlertsDraft }

// powerful reports whether a scope lets alerts go.
func powerful(scope string) bool {
	return scope == news.ScopeAlertsApprove || scope == news.ScopeAlertsRelease
}

func (p *Pages) revokeKey(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	err := p.people.RevokeAPIKey(ctx, r.PostFormValue("id"), by)
	if errors.Is(err, news.ErrNotFound) {
		err = nil // it has ended: what was asked for
	}
	return nil, err
}

// setPolicy changes who must agree at a level. That nobody must, where people
// are woken, takes the word.
func (p *Pages) setPolicy(ctx context.Context, by string, r *http.Request) (*secretView, error) {
	level, err := news.ParseLevel(r.PostFormValue("level"))
	if err != nil {
		return nil, news.Invalid("level", "must be flash, bulletin or notice")
	}
	policy := news.Policy(r.PostFormValue("policy"))
	if !slices.ContainsFunc(policyChoices(), func(c policyChoice) bool { return c.Policy == policy }) {
		return nil, news.Invalid("policy", "must be auto, one or two")
	}
	now, err := p.people.Policies(ctx)
	if err != nil {
		return nil, err
	}
	if now[level] == policy {
		return nil, nil //nolint:nilnil // there is nothing to show and nothing to do
	}
	if policy == news.PolicyAuto && level != news.LevelNotice && !strings.EqualFold(strings.TrimSpace(r.PostFormValue("typed")), "auto") {
		return nil, news.Invalid("confirmation", "must be the word auto, to let every %s go without an editor", level)
	}
	return nil, p.people.SetPolicies(ctx, news.Policies{level: policy}, by)
}
