package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
)

// manageView is the page behind a manage link, of a device or of a mailbox.
type manageView struct {
	view
	Form    choices
	Mailbox bool
	Address string // of the mailbox, masked
	Left    bool
	Wiped   bool
	Told    string // key of what the last press did: "" nothing
	Fault   string // key of what was wrong with it
	Paused  time.Time
	Ended   bool // the device is not reachable any more
	Facts   []fact
	Sent    []alertLine
	Mails   []mailed
	Joined  []half
	Fresh   bool   // it may export, wipe and move
	Export  string // path; "" where it may not
	Kept    bool   // something is kept of her
	Stories []storyLine
}

// managed is what a manage link opens: one of the two. fresh: the link is a
// device's own, or was mailed within the hour.
type managed struct {
	device  news.Device
	mailbox news.Mailbox
	isBox   bool
	fresh   bool
	why     string // the token for asking why; "": one that does nothing else is to be made
}

func (m managed) wishes() news.Wishes {
	if m.isBox {
		return m.mailbox.Wishes
	}
	return m.device.Wishes
}

// subscriber is who the device is, or who the mailbox is joined to; "" nobody.
func (m managed) subscriber() string {
	if m.isBox {
		return m.mailbox.SubscriberID
	}
	return m.device.SubscriberID
}

func (m managed) left() bool {
	if m.isBox {
		return m.mailbox.State == news.MailboxLeft
	}
	return m.device.State == news.DeviceLeft
}

// opened finds what the link opens. The bearer token of a subscription opens
// its device too: it may do the same through the API.
func (s *Site) opened(r *http.Request) (managed, error) {
	token, now := r.PathValue("token"), s.Now()
	expired := false
	for _, purpose := range []link.Purpose{link.ManageDevice, link.API, link.ManageMailbox, link.FreshMailbox} {
		id, err := s.Links.Verify(purpose, token, now)
		expired = expired || errors.Is(err, link.ErrExpired)
		if err != nil {
			continue
		}
		if purpose == link.ManageMailbox || purpose == link.FreshMailbox {
			box, err := s.Store.Mailbox(r.Context(), id)
			return managed{mailbox: box, isBox: true, fresh: purpose == link.FreshMailbox}, err
		}
		d, err := s.Store.Subscription(r.Context(), id)
		m := managed{device: d, fresh: true}
		if purpose == link.ManageDevice {
			m.why = token
		}
		return m, err
	}
	if expired {
		return managed{}, link.ErrExpired
	}
	return managed{}, link.ErrBad
}

func (s *Site) managePage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.opened(r)
	if err != nil {
		return fmt.Errorf("site.managePage: %w", err)
	}
	v, err := s.manageView(r, s.viewIn(w, r, m.wishes().Language), m, nil)
	if err != nil {
		return err
	}
	for _, told := range []string{"saved", "mailed", "moved", "same", "parted"} {
		if r.URL.Query().Has(told) {
			v.Told = "manage." + told
		}
	}
	return s.Floor.Render(w, http.StatusOK, "site/manage", v)
}

func (s *Site) manageView(r *http.Request, v view, m managed, faults error) (manageView, error) {
	p := manageView{view: v, Form: s.manageForm(v, m, faults), Left: m.left(), Paused: s.paused(m.wishes()), Fresh: m.fresh}
	if m.isBox {
		p.Mailbox, p.Address = true, masked(m.mailbox.Address)
	} else {
		p.Ended = m.device.State == news.DeviceGone
	}
	p.Kept = !m.isBox || m.mailbox.Address != "" // of a wiped one nothing is left
	if m.fresh && p.Kept {
		p.Export = r.URL.Path + "/data.json"
	}
	if p.Left {
		return p, nil
	}
	var err error
	if p.Facts, err = v.facts(m); err != nil {
		return p, fmt.Errorf("site.manageView: %w", err)
	}
	if !m.isBox {
		if p.Stories, err = s.stories(r.Context(), m.device.Wishes, v.Lang); err != nil {
			return p, err
		}
	}
	return p, s.history(r.Context(), &p, m)
}

func (s *Site) manageForm(v view, m managed, faults error) choices {
	c := s.choices(v, m.wishes(), faults)
	if m.isBox {
		c.Digest, c.Hour, c.Days, c.Weekly = true, m.mailbox.Hour, m.mailbox.Days, m.mailbox.Weekly
	}
	for i, f := range c.Faults {
		if f.Field == "until" && !s.paused(m.wishes()).IsZero() { // the page of a break has no field for another
			c.Faults[i].At = "resume"
		}
	}
	return c
}

func zoneIn(w news.Wishes) *time.Location {
	zone, err := time.LoadLocation(w.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// paused is the end of a pause that lasts still, in the reader's zone.
func (s *Site) paused(w news.Wishes) time.Time {
	if !w.PausedUntil.After(s.Now()) {
		return time.Time{}
	}
	return w.PausedUntil.In(zoneIn(w))
}

// manage does what a button of the page says and shows the page again.
func (s *Site) manage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.opened(r)
	if err != nil {
		return fmt.Errorf("site.manage: %w", err)
	}
	values, err := form(w, r)
	if err != nil {
		return err
	}
	if drafting(values) {
		return s.manageDraft(w, r, m, values)
	}
	told := "saved"
	switch values.Get("action") {
	case "leave":
		return s.manageLeave(w, r, m)
	case "wipe":
		return s.manageWipe(w, r, m, values)
	case "part":
		told, err = "parted", s.part(r.Context(), m)
	case "link":
		told, err = "mailed", s.mailLink(r, m)
	case "move":
		told, err = s.move(r, m, values)
	default:
		err = s.manageChange(r, m, values)
	}
	if errors.Is(err, news.ErrInvalid) && isAction(values.Get("action")) {
		return s.manageAgain(w, r, m, values, err)
	}
	if err != nil {
		return fmt.Errorf("site.manage: %w", err)
	}
	// Shown by a GET, so that reloading sends nothing again.
	w.Header().Set("Location", r.URL.Path+"?"+told)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// manageAgain shows the page as it was sent, with what is wrong. Only "save" sends
// the whole form.
func (s *Site) manageAgain(w http.ResponseWriter, r *http.Request, m managed, values url.Values, faults error) error {
	v, err := s.manageView(r, s.viewIn(w, r, m.wishes().Language), m, faults)
	if err != nil {
		return err
	}
	if values.Get("action") == "save" {
		_, _ = s.typed(values, &m) // what is wrong with it is known
		v.Form = s.manageForm(v.view, m, faults)
		v.Form.calendarTyped(values)
	}
	return s.Floor.Render(w, http.StatusBadRequest, "site/manage", v)
}

// typed puts what a form says into what the page shows, and nowhere else.
func (s *Site) typed(values url.Values, m *managed) (*news.Wishes, error) {
	wishes := &m.device.Wishes
	if m.isBox {
		wishes, values = &m.mailbox.Wishes, quietly(values)
	}
	var faults news.Problems
	s.parser.wishes(formFields(values, &faults), wishes)
	return wishes, faults.Err()
}

// manageDraft shows the page with what is chosen and not saved yet.
func (s *Site) manageDraft(w http.ResponseWriter, r *http.Request, m managed, values url.Values) error {
	v, err := s.manageView(r, s.viewIn(w, r, m.wishes().Language), m, nil)
	if err != nil {
		return err
	}
	picked, _ := knownPlaces(values["pick"])
	values["region"] = append(values["region"], picked...)
	dropOverride(values, values.Get("drop"))
	wishes, faults := s.typed(values, &m)
	v.Form = s.manageForm(v.view, m, faults)
	v.Form.Opened = values.Get("open")
	v.Form.calendarTyped(values)
	if values.Has("more") {
		v.Form.Overrides = append(v.Form.Overrides, overrideRow{})
	}
	if v.Form.Preview, err = s.previewOrNone(r, v.view, *wishes); err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusOK, "site/manage", v)
}

func isAction(action string) bool { return action == "save" || action == "pause" || action == "move" }

// wishesChange is what a button does to the reader's wishes.
func (s *Site) wishesChange(values url.Values) (func(*news.Wishes) error, error) {
	switch values.Get("action") {
	case "save":
		return func(w *news.Wishes) error {
			var faults news.Problems
			s.parser.wishes(formFields(values, &faults), w)
			return faults.Err()
		}, nil
	case "pause":
		return pause(values, s.Now())
	case "resume":
		return func(w *news.Wishes) error { w.PausedUntil = time.Time{}; return nil }, nil
	case "story": // back to what holds for all
		return func(w *news.Wishes) error { return wish(w, values.Get("story"), wantAll) }, nil
	}
	return nil, news.Invalid("action", "must be save, pause, resume, story, part, link, move, wipe or leave")
}

func (s *Site) manageChange(r *http.Request, m managed, values url.Values) error {
	if m.isBox {
		values = quietly(values)
	}
	change, err := s.wishesChange(values)
	if err != nil {
		return err
	}
	if m.isBox {
		_, err := s.Store.ChangeMailbox(r.Context(), m.mailbox.ID, func(box *news.Mailbox) error {
			switch {
			case box.State == news.MailboxLeft:
				return fmt.Errorf("%w: you have left", news.ErrConflict)
			case values.Get("action") == "save":
				return s.saveMailbox(values, box)
			}
			return change(&box.Wishes)
		})
		return err
	}
	_, err = s.Store.ChangeSubscription(r.Context(), m.device.ID, func(d *news.Device) error {
		if d.State == news.DeviceLeft {
			return fmt.Errorf("%w: you have left", news.ErrConflict)
		}
		return change(&d.Wishes)
	})
	if err == nil {
		s.wake(topicDevices, topicControl)
	}
	return err
}

// saveMailbox reads all of a mailbox's form, so that all its faults are told.
func (s *Site) saveMailbox(values url.Values, box *news.Mailbox) error {
	var faults news.Problems
	values.Set("digest", "1")
	f := formFields(values, &faults)
	s.parser.wishes(f, &box.Wishes)
	f.calendar(&box.Hour, &box.Days, &box.Weekly)
	return faults.Err()
}

// part takes a mailbox and a device apart again: from then on the digest leaves
// nothing out for the device's sake.
func (s *Site) part(ctx context.Context, m managed) error {
	boxes := []news.Mailbox{m.mailbox}
	if !m.isBox {
		var err error
		if boxes, err = s.Store.MailboxesOf(ctx, m.device.SubscriberID); err != nil {
			return err
		}
	}
	for _, box := range boxes {
		_, err := s.Store.ChangeMailbox(ctx, box.ID, func(box *news.Mailbox) error { box.SubscriberID = ""; return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) manageLeave(w http.ResponseWriter, r *http.Request, m managed) error {
	if m.isBox {
		if err := s.Store.LeaveMailbox(r.Context(), news.Departure{MailboxID: m.mailbox.ID, Way: news.LeftByPage}); err != nil {
			return fmt.Errorf("site.manageLeave: %w", err)
		}
		m.mailbox.State = news.MailboxLeft
	} else {
		if err := s.leave(r, m.device.ID); err != nil {
			return err
		}
		m.device.State = news.DeviceLeft
	}
	v, err := s.manageView(r, s.viewIn(w, r, m.wishes().Language), m, nil)
	if err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusOK, "site/manage", v)
}
