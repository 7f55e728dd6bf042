package site

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/web"
)

// wishesView is a reader's wishes as the API shows them: the names of the
// POST body.
type wishesView struct {
	Regions      []string       `json:"regions"`
	MutedRegions []string       `json:"mutedRegions"`
	Sections     []string       `json:"sections"`
	Level        string         `json:"level"`
	Overrides    []overrideView `json:"overrides"`
	Language     string         `json:"language"`
	OnlyLanguage bool           `json:"onlyLanguage"`
	Timezone     string         `json:"timezone"`
	Quiet        *quietView     `json:"quiet"`
	Cap          *int           `json:"cap"`
	PausedUntil  *time.Time     `json:"pausedUntil"`
	MutedStories []string       `json:"mutedStories"`
	OverStories  []string       `json:"overStories"`
}

type overrideView struct {
	Regions []string `json:"regions"`
	Level   string   `json:"level"`
}

type quietView struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Flash bool   `json:"flash"`
}

func viewWishes(w news.Wishes) wishesView {
	v := wishesView{Regions: list(w.Preference.Regions), MutedRegions: list(w.Preference.Muted), Sections: list(w.Preference.Sections),
		Level: w.Preference.Level.String(), Overrides: []overrideView{}, Language: w.Language, OnlyLanguage: w.OnlyLanguage,
		Timezone: w.Timezone, MutedStories: list(w.MutedStories), OverStories: list(w.OverStories)}
	for _, o := range w.Preference.Overrides {
		v.Overrides = append(v.Overrides, overrideView{list(o.Regions), o.Level.String()})
	}
	if w.Quiet != nil {
		v.Quiet = &quietView{clock(w.Quiet.From), clock(w.Quiet.To), w.Quiet.Flash}
	}
	if w.Cap > 0 {
		v.Cap = &w.Cap
	}
	if !w.PausedUntil.IsZero() {
		v.PausedUntil = &w.PausedUntil
	}
	return v
}

// list is never null in JSON.
func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

// subscriptionView is what GET and PATCH answer.
type subscriptionView struct {
	ID    string `json:"id"`
	State string `json:"state"`
	wishesView
	CreatedAt time.Time `json:"createdAt"`
	Manage    string    `json:"manage"` // the page where all this can be chosen
}

func (s *Site) viewSubscription(d news.Device) subscriptionView {
	token := s.Links.Sign(link.ManageDevice, d.ID, s.Now().Add(link.ManageFor))
	return subscriptionView{ID: d.ID, State: string(d.State), wishesView: viewWishes(d.Wishes), CreatedAt: d.CreatedAt,
		Manage: s.Floor.BaseURL() + link.Path(link.ManageDevice, token)}
}

// credentials is what POST answers; nothing else gives the token again.
type credentials struct {
	ID    string `json:"id"`
	Token string `json:"token"`
}

func (s *Site) createSubscription(w http.ResponseWriter, r *http.Request) error {
	body, err := web.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	d, err := s.parser.Device(body)
	if err != nil {
		return err
	}
	client := web.ClientKey(r)
	if err := s.devices.Take(client); err != nil {
		return err
	}
	dev, created, err := s.Store.CreateSubscription(r.Context(), d.Push, d.Wishes)
	if !created {
		s.devices.Return(client) // only new subscriptions count
	}
	switch {
	case errors.Is(err, news.ErrConflict):
		return fmt.Errorf("%w: this endpoint is subscribed with another auth secret; unsubscribe in the browser and subscribe anew", news.ErrConflict)
	case err != nil:
		return fmt.Errorf("site.createSubscription: %w", err)
	}
	s.wake(topicDevices)
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", "/api/v1/subscriptions/"+dev.ID)
	} else {
		s.wake(topicControl) // it may have been paused or muted this way
	}
	return web.WriteJSON(w, status, credentials{dev.ID, s.Links.Sign(link.API, dev.ID, time.Time{})})
}

// bearer is the id of the device whose token came with the request.
func (s *Site) bearer(r *http.Request) (string, error) {
	token := web.Bearer(r)
	if token == "" {
		return "", fmt.Errorf("%w: send the subscription's token as Authorization: Bearer TOKEN", news.ErrUnknownKey)
	}
	id, err := s.Links.Verify(link.API, token, s.Now())
	if err != nil {
		return "", fmt.Errorf("%w: this token is not valid", news.ErrUnknownKey)
	}
	return id, nil
}

// own is the device that the path names and the token opens.
func (s *Site) own(r *http.Request) (string, error) {
	id, err := s.bearer(r)
	if err != nil {
		return "", err
	}
	if id != r.PathValue("id") {
		return "", fmt.Errorf("%w: this token is another subscription's", news.ErrForbidden)
	}
	return id, nil
}

func (s *Site) showSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := s.own(r)
	if err != nil {
		return err
	}
	d, err := s.device(r, id)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.viewSubscription(d))
}

// errEnded is for whom the reader has left or wiped: 410, where what we never
// knew is 404. A browser that finds itself forgotten signs up anew by itself; it
// must not when its reader has left.
var errEnded = fmt.Errorf("%w: this subscription has ended", news.ErrGone)

// device is a device that has not been left.
func (s *Site) device(r *http.Request, id string) (news.Device, error) {
	d, err := s.Store.Subscription(r.Context(), id)
	switch {
	case errors.Is(err, news.ErrGone), err == nil && d.State == news.DeviceLeft:
		return news.Device{}, errEnded
	case err != nil:
		return news.Device{}, fmt.Errorf("site.device: %w", err)
	}
	return d, nil
}

func (s *Site) changeSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := s.own(r)
	if err != nil {
		return err
	}
	body, err := web.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	d, err := s.Store.ChangeSubscription(r.Context(), id, func(d *news.Device) error {
		if d.State == news.DeviceLeft {
			return errEnded
		}
		return s.parser.change(body, d)
	})
	if errors.Is(err, news.ErrGone) {
		return errEnded
	}
	if err != nil {
		return fmt.Errorf("site.changeSubscription: %w", err)
	}
	s.wake(topicDevices, topicControl)
	return web.WriteJSON(w, http.StatusOK, s.viewSubscription(d))
}

func (s *Site) deleteSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := s.own(r)
	if err != nil {
		return err
	}
	if err := s.leave(r, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// leave is durable when it returns nil; a device that is not there any more
// has left too.
func (s *Site) leave(r *http.Request, id string) error {
	if err := s.Store.Leave(r.Context(), id); err != nil && !errors.Is(err, news.ErrNotFound) {
		return fmt.Errorf("site.leave: %w", err)
	}
	s.wake(topicDevices, topicControl)
	return nil
}

func (s *Site) pushKey(w http.ResponseWriter, _ *http.Request) error {
	return web.WriteJSON(w, http.StatusOK, map[string]string{"publicKey": s.Push.PublicKey()})
}
