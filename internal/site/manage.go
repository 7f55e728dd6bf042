package site

import (
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
	Saved   bool
	Paused  time.Time // zero: not paused
	Ended   bool      // the device is not reachable any more
	Stories []storyLine
}

// managed is what a manage link opens: one of the two.
type managed struct {
	device  news.Device
	mailbox news.Mailbox
	isBox   bool
}

// opened finds what the link opens. The bearer token of a subscription opens
// its device too: it may do the same through the API.
func (s *Site) opened(r *http.Request) (managed, error) {
	token, now := r.PathValue("token"), s.Now()
	expired := false
	for _, purpose := range []link.Purpose{link.ManageDevice, link.API, link.ManageMailbox} {
		id, err := s.Links.Verify(purpose, token, now)
		expired = expired || errors.Is(err, link.ErrExpired)
		if err != nil {
			continue
		}
		if purpose == link.ManageMailbox {
			box, err := s.Store.Mailbox(r.Context(), id)
			return managed{mailbox: box, isBox: true}, err
		}
		d, err := s.Store.Subscription(r.Context(), id)
		return managed{device: d}, err
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
	v := s.manageView(s.view(w, r), m, nil)
	v.Saved = r.URL.Query().Has("saved")
	if !m.isBox {
		if v.Stories, err = s.stories(r.Context(), m.device.Wishes, v.Lang); err != nil {
			return err
		}
	}
	return s.Floor.Render(w, http.StatusOK, "site/manage", v)
}

func (s *Site) manageView(v view, m managed, faults error) manageView {
	if m.isBox {
		c := s.choices(v, m.mailbox.Wishes, faults)
		c.Digest, c.Hour, c.Days, c.Weekly = true, m.mailbox.Hour, m.mailbox.Days, m.mailbox.Weekly
		return manageView{view: v, Form: c, Mailbox: true, Address: masked(m.mailbox.Address),
			Left: m.mailbox.State == news.MailboxLeft, Paused: s.paused(m.mailbox.Wishes)}
	}
	return manageView{view: v, Form: s.choices(v, m.device.Wishes, faults), Left: m.device.State == news.DeviceLeft,
		Ended: m.device.State == news.DeviceGone, Paused: s.paused(m.device.Wishes)}
}

// paused is the end of a pause that lasts still, in the reader's zone.
func (s *Site) paused(w news.Wishes) time.Time {
	if !w.PausedUntil.After(s.Now()) {
		return time.Time{}
	}
	zone, err := time.LoadLocation(w.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return w.PausedUntil.In(zone)
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
	if values.Get("action") == "leave" {
		return s.manageLeave(w, r, m)
	}
	if drafting(values) {
		return s.manageDraft(w, r, m, values)
	}
	change, err := s.wishesChange(values)
	if err != nil {
		return err
	}
	err = s.manageChange(r, m, values, change)
	if errors.Is(err, news.ErrInvalid) {
		return s.Floor.Render(w, http.StatusBadRequest, "site/manage", s.manageView(s.view(w, r), m, err))
	}
	if err != nil {
		return fmt.Errorf("site.manage: %w", err)
	}
	// Shown by a GET, so that reloading sends nothing again.
	w.Header().Set("Location", r.URL.Path+"?saved")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// manageDraft shows the page with what is chosen and not saved yet.
func (s *Site) manageDraft(w http.ResponseWriter, r *http.Request, m managed, values url.Values) error {
	values["region"] = append(values["region"], knownPlaces(values["pick"])...)
	dropOverride(values, values.Get("drop"))
	wishes := &m.device.Wishes
	if m.isBox {
		wishes = &m.mailbox.Wishes
	}
	var faults news.Problems
	s.parser.wishes(formFields(values, &faults), wishes)
	v := s.manageView(s.view(w, r), m, faults.Err())
	v.Form.Opened = values.Get("open")
	if values.Has("more") {
		v.Form.Overrides = append(v.Form.Overrides, overrideRow{})
	}
	var err error
	if v.Form.Preview, err = s.previewOrNone(r, v.view, *wishes); err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusOK, "site/manage", v)
}

// wishesChange is what a button does to the reader's wishes.
func (s *Site) wishesChange(values url.Values) (func(*news.Wishes) error, error) {
	switch values.Get("action") {
	case "save":
		return func(w *news.Wishes) error {
			var faults news.Problems
			wishes := *w
			s.parser.wishes(formFields(values, &faults), &wishes)
			*w = wishes
			return faults.Err()
		}, nil
	case "pause":
		return pause(values, s.Now())
	case "resume":
		return func(w *news.Wishes) error { w.PausedUntil = time.Time{}; return nil }, nil
	case "story": // back to what holds for all
		return func(w *news.Wishes) error { return wish(w, values.Get("story"), wantAll) }, nil
	}
	return nil, news.Invalid("action", "must be save, pause, resume, story or leave")
}

func (s *Site) manageChange(r *http.Request, m managed, values url.Values, change func(*news.Wishes) error) error {
	if m.isBox {
		_, err := s.Store.ChangeMailbox(r.Context(), m.mailbox.ID, func(box *news.Mailbox) error {
			if box.State == news.MailboxLeft {
				return fmt.Errorf("%w: you have left", news.ErrConflict)
			}
			if values.Get("action") == "save" {
				if err := calendarOf(values, box); err != nil {
					return err
				}
			}
			return change(&box.Wishes)
		})
		return err
	}
	_, err := s.Store.ChangeSubscription(r.Context(), m.device.ID, func(d *news.Device) error {
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

func calendarOf(values url.Values, box *news.Mailbox) error {
	var faults news.Problems
	values.Set("digest", "1")
	formFields(values, &faults).calendar(&box.Hour, &box.Days, &box.Weekly)
	return faults.Err()
}

func (s *Site) manageLeave(w http.ResponseWriter, r *http.Request, m managed) error {
	if m.isBox {
		if err := s.Store.LeaveMailbox(r.Context(), m.mailbox.ID); err != nil {
			return fmt.Errorf("site.manageLeave: %w", err)
		}
		m.mailbox.State = news.MailboxLeft
	} else {
		if err := s.leave(r, m.device.ID); err != nil {
			return err
		}
		m.device.State = news.DeviceLeft
	}
	return s.Floor.Render(w, http.StatusOK, "site/manage", s.manageView(s.view(w, r), m, nil))
}
