package desk

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Keyring is where editors' passkeys and identities are kept, and the sign-ins
// that wait for a browser to come back.
type Keyring interface {
	Passkeys(ctx context.Context, editor string) ([]news.Passkey, error)
	Passkey(ctx context.Context, id string) (news.Passkey, error)
	AddPasskey(ctx context.Context, p news.Passkey, most int, session string) error
	RemovePasskey(ctx context.Context, editor, id string) error
	SignInByPasskey(ctx context.Context, p news.Passkey, hash string, expires time.Time) error
	Identities(ctx context.Context, editor string) ([]news.Identity, error)
	AddIdentity(ctx context.Context, i news.Identity, session string) error
	RemoveIdentity(ctx context.Context, editor, issuer string) error
	SignInByIdentity(ctx context.Context, issuer, subject, hash string, expires time.Time) (editor string, err error)
	BeginCeremony(ctx context.Context, hash string, c news.Ceremony) error
	TakeCeremony(ctx context.Context, hash, purpose string) (news.Ceremony, error)
}

const (
	// ceremonyFor is how long a browser may be away: finding the phone takes a
	// minute (WebAuthn level 3 section 15.1 recommends 300 to 600 s).
	ceremonyFor  = 5 * time.Minute
	mostPasskeys = 10
	// What a ceremony is good for: one that was begun to add a passkey signs
	// nobody in.
	purposeAdd   = "passkey add"
	purposeEnter = "passkey sign in"
)

// passkeys checks what authenticators say. Without web they are not offered,
// and why says the reason.
type passkeys struct {
	web *webauthn.WebAuthn
	why string
}

// newPasskeys is for the origin that the desk has in browsers. Passkeys are
// bound to a host name, and browsers offer them over https or on localhost
// alone (WebAuthn level 3 section 5.1.2: a domain, no address).
func newPasskeys(origin string) passkeys {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" {
		return passkeys{why: "This desk does not know its own address."}
	}
	host := strings.ToLower(u.Hostname())
	_, notAddress := netip.ParseAddr(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	switch {
	case notAddress == nil:
		return passkeys{why: fmt.Sprintf("Passkeys need the desk at a name, not at an address such as %s.", host)}
	case u.Scheme != "https" && !local:
		return passkeys{why: fmt.Sprintf("Passkeys need the desk at an https address; it is at %s.", origin)}
	}
	w, err := webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: "Dateline desk", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired}})
	if err != nil {
		return passkeys{why: fmt.Sprintf("Passkeys can't be bound to %s.", origin)}
	}
	return passkeys{web: w}
}

// passkeyOffer is what a page says of passkeys.
type passkeyOffer struct {
	Offered bool
	Why     string // they are not
	Origin  string // they work there alone
}

func (p *Pages) passkeyOffer() passkeyOffer {
	if p.keyring == nil {
		return passkeyOffer{Why: "Passkeys are not kept here."}
	}
	return passkeyOffer{Offered: p.passkeys.web != nil, Why: p.passkeys.why, Origin: p.origin}
}

// holder is an editor as authenticators know her.
type holder struct {
	name   string
	handle []byte
	keys   []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return h.handle }
func (h holder) WebAuthnName() string                       { return h.name }
func (h holder) WebAuthnDisplayName() string                { return h.name }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// holder has a handle that tells nothing of the name (WebAuthn level 3 section
// 14.6.1) and is the same at each look.
func (p *Pages) holder(name string, kept ...news.Passkey) (holder, error) {
	handle, err := hex.DecodeString(p.links.Hash("passkey holder", name))
	h := holder{name: name, handle: handle}
	for _, k := range kept {
		var c webauthn.Credential
		if err := json.Unmarshal(k.Credential, &c); err != nil {
			return h, fmt.Errorf("desk: passkey of %s: %w", name, err)
		}
		c.Authenticator.SignCount = k.Counter
		h.keys = append(h.keys, c)
	}
	return h, err
}

// beginAdding asks the browser of an editor for a new passkey. The code of her
// app stands for her being there: an unattended page must not give a stranger a
// way in that stays.
func (p *Pages) beginAdding(r *http.Request) (any, error) {
	by := web.PersonFrom(r.Context())
	if _, err := passkeyName(r.PostFormValue("name")); err != nil {
		return nil, err
	}
	if p.passkeys.web == nil {
		return nil, fmt.Errorf("%w: %s", news.ErrForbidden, p.passkeys.why)
	}
	if err := p.prove(r, by.Name); err != nil {
		return nil, err
	}
	kept, err := p.keyring.Passkeys(r.Context(), by.Name)
	if err != nil {
		return nil, err
	}
	who, err := p.holder(by.Name, kept...)
	if err != nil {
		return nil, err
	}
	options, session, err := p.passkeys.web.BeginRegistration(who, webauthn.WithExclusions(webauthn.Credentials(who.keys).CredentialDescriptors()))
	if err != nil {
		return nil, fmt.Errorf("desk: begin a passkey: %w", err)
	}
	return options.Response, p.begin(r, purposeAdd, by.Name, session)
}

// prove asks for a fresh code of the editor's app.
func (p *Pages) prove(r *http.Request, editor string) error {
	if err := p.guard.network.Take(web.ClientKey(r)); err != nil {
		return err
	}
	if err := p.guard.codes.Take(editor); err != nil {
		return err
	}
	a, err := p.accounts.Account(r.Context(), editor)
	if err != nil {
		return fmt.Errorf("desk: code of %s: %w", editor, err)
	}
	step, ok := usedStep(a.Secret, r.PostFormValue("code"), a.Step, p.now())
	if !ok {
		return news.Invalid("code", "does not fit or was used already; wait for the next one your app shows")
	}
	return p.accounts.UseCode(r.Context(), a, step)
}

// begin keeps what the browser was asked, by its challenge.
func (p *Pages) begin(r *http.Request, purpose, editor string, session *webauthn.SessionData) error {
	detail, err := json.Marshal(session)
	if err != nil {
		return fmt.Errorf("desk: begin %s: %w", purpose, err)
	}
	return p.keyring.BeginCeremony(r.Context(), web.HashKey(session.Challenge), news.Ceremony{Purpose: purpose, Editor: editor,
		Detail: string(detail), ExpiresAt: p.now().Add(ceremonyFor)})
}

// taken is what was asked with the challenge of an answer. Each is taken once.
func (p *Pages) taken(ctx context.Context, purpose, challenge string) (news.Ceremony, webauthn.SessionData, error) {
	var session webauthn.SessionData
	c, err := p.keyring.TakeCeremony(ctx, web.HashKey(challenge), purpose)
	if err == nil {
		err = json.Unmarshal([]byte(c.Detail), &session)
	}
	return c, session, err
}

var errAdding = fmt.Errorf("%w: the passkey did not fit what was asked, or came too late; try again", news.ErrConflict)

// add keeps the passkey that a browser made.
func (p *Pages) add(r *http.Request) error {
	by := web.PersonFrom(r.Context())
	name, err := passkeyName(r.PostFormValue("name"))
	if err != nil {
		return err
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes([]byte(r.PostFormValue("credential")))
	if err != nil || p.passkeys.web == nil {
		return errAdding
	}
	c, session, err := p.taken(r.Context(), purposeAdd, answer.Response.CollectedClientData.Challenge)
	if errors.Is(err, news.ErrGone) || err == nil && c.Editor != by.Name {
		return errAdding
	}
	if err != nil {
		return err
	}
	who, err := p.holder(by.Name)
	if err != nil {
		return err
	}
	made, err := p.passkeys.web.CreateCredential(who, session, answer)
	if err != nil {
		p.log.Warn("a passkey was not taken", "error", err)
		return errAdding
	}
	made.Attestation = webauthn.CredentialAttestation{} // we trust the browser for it, and ask nobody
	k, err := keptAs(made)
	if err != nil {
		return err
	}
	k.Editor, k.Name = by.Name, name
	return p.keyring.AddPasskey(r.Context(), k, mostPasskeys, p.floor.SessionHash(r))
}

// keptAs is what the store keeps of a credential.
func keptAs(c *webauthn.Credential) (news.Passkey, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return news.Passkey{}, fmt.Errorf("desk: keep a passkey: %w", err)
	}
	return news.Passkey{ID: passkeyID(c.ID), Credential: raw, Counter: c.Authenticator.SignCount}, nil
}

func passkeyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func passkeyName(typed string) (string, error) {
	name := news.CleanLine(typed)
	if name == "" || len([]rune(name)) > longestName {
		return "", news.Invalid("name", "must say in 1 to %d characters where the passkey is, such as \"my phone\"", longestName)
	}
	return name, nil
}

// beginEntering asks any passkey of this desk to sign in.
func (p *Pages) beginEntering(r *http.Request) (any, error) {
	if err := p.guard.network.Take(web.ClientKey(r)); err != nil {
		return nil, err
	}
	if p.passkeys.web == nil {
		return nil, fmt.Errorf("%w: %s", news.ErrForbidden, p.passkeys.why)
	}
	options, session, err := p.passkeys.web.BeginDiscoverableLogin()
	if err != nil {
		return nil, fmt.Errorf("desk: begin a sign-in by passkey: %w", err)
	}
	return options.Response, p.begin(r, purposeEnter, "", session)
}

// errPasskey says nothing of what did not fit.
var errPasskey = fmt.Errorf("%w: this passkey does not open the desk, or the answer came too late; try again, or use your password", news.ErrForbidden)

// postPasskey signs in with what an authenticator answered.
func (p *Pages) postPasskey(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	view := p.signInView(r.PostFormValue("next"))
	cookie, hash := web.NewSession()
	expires := p.now().Add(sessionFor)
	if err := p.enterByPasskey(r, hash, expires); err != nil {
		return p.refuseSignIn(w, view, err)
	}
	p.enter(w, r, cookie, expires, view.Next)
	return nil
}

func (p *Pages) enterByPasskey(r *http.Request, hash string, expires time.Time) error {
	if err := p.guard.network.Take(web.ClientKey(r)); err != nil {
		return err
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes([]byte(r.PostFormValue("credential")))
	if err != nil || p.passkeys.web == nil {
		return errPasskey
	}
	_, session, err := p.taken(r.Context(), purposeEnter, answer.Response.CollectedClientData.Challenge)
	if errors.Is(err, news.ErrGone) {
		return errPasskey
	}
	if err != nil {
		return err
	}
	kept, err := p.keyring.Passkey(r.Context(), passkeyID(answer.RawID))
	if errors.Is(err, news.ErrNotFound) {
		return errPasskey
	}
	if err != nil {
		return err
	}
	if err := p.guard.account.Take(web.ClientKey(r) + " " + strings.ToLower(kept.Editor)); err != nil {
		return err
	}
	now, err := p.checked(session, answer, kept)
	if err != nil {
		p.log.Warn("a passkey was refused", "editor", kept.Editor, "error", err)
		return errPasskey
	}
	if err := p.keyring.SignInByPasskey(r.Context(), now, hash, expires); errors.Is(err, news.ErrConflict) {
		return errPasskey
	} else if err != nil {
		return err
	}
	return nil
}

var errCopied = errors.New("its counter went back: there may be a copy of it")

// checked is the passkey as this answer leaves it. A counter that does not rise
// comes from a copy (WebAuthn level 3 section 6.1.1).
func (p *Pages) checked(session webauthn.SessionData, answer *protocol.ParsedCredentialAssertionData, kept news.Passkey) (news.Passkey, error) {
	find := func(_, _ []byte) (webauthn.User, error) { return p.holder(kept.Editor, kept) }
	_, c, err := p.passkeys.web.ValidatePasskeyLogin(find, session, answer)
	if err != nil {
		return news.Passkey{}, err
	}
	if c.Authenticator.CloneWarning {
		return news.Passkey{}, errCopied
	}
	k, err := keptAs(c)
	k.Editor, k.Name = kept.Editor, kept.Name
	return k, err
}
