package site

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/web"
)

const (
	// trials is how many test notifications a device may have in an hour.
	trials = 5
	// trialTTL: who is not reached within it looks at the settings instead.
	trialTTL = 60 // seconds
	// trialTag: a second test takes the place of the first.
	trialTag = "dateline-test"
)

// trial is the answer of POST …/test. The worker tells its pages which Test it
// has shown.
type trial struct {
	Test   string `json:"test"`
	Result string `json:"result"` // of the push service: a news.Outcome
	Reason string `json:"reason"`
}

// testNotification sends one notification to the device that asks, through the
// push path of every alert, so that its reader sees how one looks and that it
// comes. It is no alert: in no ledger, no count, no digest.
func (s *Site) testNotification(w http.ResponseWriter, r *http.Request) error {
	id, err := s.own(r)
	if err != nil {
		return err
	}
	d, err := s.device(r, id)
	if err != nil {
		return err
	}
	if err := s.trials.Take(id); err != nil {
		return err
	}
	payload, err := s.trialPayload(d.Wishes.Language)
	if err != nil {
		return err
	}
	to := push.Target{Endpoint: d.Push.Endpoint, P256dh: d.Push.P256dh, Auth: d.Push.Auth}
	got := s.Push.Send(r.Context(), to, push.Message{Payload: payload.JSON(), TTL: trialTTL, Urgency: "high", Topic: trialTag})
	return web.WriteJSON(w, http.StatusOK, trial{payload.Notification.Data.Test, got.Outcome.String(), got.Reason})
}

func (s *Site) trialPayload(language string) (push.Payload, error) {
	lang := news.PickLanguage(language, languages(), fallback)
	title, err := s.words.say(lang, "worker.test.title")
	if err != nil {
		return push.Payload{}, fmt.Errorf("site.trialPayload: %w", err)
	}
	body, err := s.words.say(lang, "worker.test.body")
	if err != nil {
		return push.Payload{}, fmt.Errorf("site.trialPayload: %w", err)
	}
	base := s.Floor.BaseURL()
	return push.Payload{WebPush: push.Declarative, Mutable: true, Notification: push.Notification{
		Title: title, Body: body, Navigate: base + "/alerts", Lang: lang, Dir: news.Direction(lang), Tag: trialTag,
		Icon: base + "/icons/192.png", Timestamp: s.Now().UnixMilli(), Renotify: true, Mutable: true,
		Data: push.Data{Level: news.LevelNotice.String(), Regions: []string{}, Test: rand.Text()}}}, nil
}

// newTrials limits test notifications by device.
func newTrials(now func() time.Time) *web.Limiter {
	return web.NewLimiter("test notifications", trials, time.Hour, now)
}
