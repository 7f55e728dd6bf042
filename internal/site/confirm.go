package site

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
)

// confirmView is the page behind the link in the confirmation mail, before
// and after the press.
type confirmView struct {
	view
	Address string
	Move    bool   // the digest goes to another address already
	Device  string // the device it will be joined with; "" none
	Done    bool
	Already bool   // it was confirmed before
	Manage  string // path, when done
}

// signupOf is the sign-up a confirm link names.
func (s *Site) signupOf(r *http.Request) (news.DigestSignup, error) {
	id, err := s.Links.Verify(link.Confirm, r.PathValue("token"), s.Now())
	if err != nil {
		return news.DigestSignup{}, err
	}
	signup, err := s.Store.DigestSignup(r.Context(), id)
	if err != nil {
		return news.DigestSignup{}, fmt.Errorf("site.signupOf: %w", err)
	}
	return signup, nil
}

// confirmPage only shows: mail scanners open every link, some run scripts, so
// nothing but a press confirms.
func (s *Site) confirmPage(w http.ResponseWriter, r *http.Request) error {
	signup, err := s.signupOf(r)
	if err != nil {
		return err
	}
	if !signup.UsedAt.IsZero() {
		box, err := s.Store.Mailbox(r.Context(), signup.MailboxID)
		if err == nil {
			return s.confirmed(w, r, signup, box, true)
		}
		if !errors.Is(err, news.ErrNotFound) && !errors.Is(err, news.ErrGone) { // wiped since: as if it were new, and the press says no
			return fmt.Errorf("site.confirmPage: %w", err)
		}
	}
	v := s.viewIn(w, r, signup.Wishes.Language)
	device, err := v.deviceName(signup.DeviceLabel)
	if err != nil {
		return fmt.Errorf("site.confirmPage: %w", err)
	}
	return s.Floor.Render(w, http.StatusOK, "site/confirm", confirmView{view: v, Address: masked(signup.Address),
		Move: signup.Kind == news.SignupMove, Device: device})
}

func (s *Site) confirm(w http.ResponseWriter, r *http.Request) error {
	signup, err := s.signupOf(r)
	if err != nil {
		return err
	}
	consent := signup.Consent
	consent.ConfirmedAt = s.Now()
	box, err := s.Store.ConfirmDigest(r.Context(), signup.ID, consent)
	if err != nil {
		return fmt.Errorf("site.confirm: %w", err)
	}
	return s.confirmed(w, r, signup, box, !signup.UsedAt.IsZero())
}

// confirmed is the page of a sign-up that became a mailbox.
func (s *Site) confirmed(w http.ResponseWriter, r *http.Request, signup news.DigestSignup, box news.Mailbox, already bool) error {
	if box.State != news.MailboxActive { // an old link, pressed again after leaving: it signs nobody up
		return s.Floor.Render(w, http.StatusOK, "site/unsubscribe", unsubscribeView{view: s.viewIn(w, r, signup.Wishes.Language), Done: true})
	}
	manage := ""
	if box.Address == signup.Address { // else it has moved since: what was mailed there leads no further
		manage = link.Path(link.ManageMailbox, s.Links.Sign(link.ManageMailbox, box.ID, s.Now().Add(link.ManageFor)))
	}
	v := s.viewIn(w, r, box.Wishes.Language)
	device, err := v.deviceName(signup.DeviceLabel)
	if err != nil {
		return fmt.Errorf("site.confirmed: %w", err)
	}
	return s.Floor.Render(w, http.StatusOK, "site/confirm", confirmView{view: v, Address: masked(box.Address),
		Device: device, Done: true, Already: already, Manage: manage})
}

type unsubscribeView struct {
	view
	Done bool
}

func (s *Site) unsubscribePage(w http.ResponseWriter, r *http.Request) error {
	id, err := s.Links.Verify(link.Unsubscribe, r.PathValue("token"), s.Now())
	if err != nil {
		return err
	}
	box, err := s.Store.Mailbox(r.Context(), id)
	left := err == nil && box.State == news.MailboxLeft
	return s.Floor.Render(w, http.StatusOK, "site/unsubscribe", unsubscribeView{view: s.boxView(w, r, id), Done: left})
}

// unsubscribe leaves the digest: the mail program's one-click POST (RFC 8058)
// and the page's button are the same. A second time, or after the mailbox is
// gone, it is done all the same.
func (s *Site) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	id, err := s.Links.Verify(link.Unsubscribe, r.PathValue("token"), s.Now())
	if err != nil {
		return err
	}
	if err := s.Store.LeaveMailbox(r.Context(), departureOf(r, id)); err != nil && !errors.Is(err, news.ErrNotFound) {
		return fmt.Errorf("site.unsubscribe: %w", err)
	}
	return s.Floor.Render(w, http.StatusOK, "site/unsubscribe", unsubscribeView{view: s.boxView(w, r, id), Done: true})
}

// departureOf says which date's mail a link came from: the links in mails say so
// themselves. It is for the newsroom's figures alone, so nobody signs for it.
func departureOf(r *http.Request, mailboxID string) news.Departure {
	d := news.Departure{MailboxID: mailboxID, Way: news.LeftByLink, LocalDate: r.URL.Query().Get(link.OfDate)}
	if _, err := time.Parse(time.DateOnly, d.LocalDate); err != nil {
		d.LocalDate = ""
	}
	return d
}

// boxView is a page in the language of a mailbox, as long as that is known.
func (s *Site) boxView(w http.ResponseWriter, r *http.Request, id string) view {
	box, err := s.Store.Mailbox(r.Context(), id)
	if err != nil {
		return s.view(w, r)
	}
	return s.viewIn(w, r, box.Wishes.Language)
}

// masked shows enough of an address for its owner to know it, and too little
// for who looks over her shoulder.
func masked(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" {
		return "•••"
	}
	return local[:1] + "•••@" + domain
}
