package intake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Routes adds the intake's doors: a story by HTTP, and the two documents that
// say what a story is.
func (s *Service) Routes(mux *http.ServeMux) {
	floor := s.config.Floor
	mux.Handle("POST /api/v1/stories", floor.API(news.ScopeStoriesWrite, s.postStory))
	mux.Handle("GET /schema/story.json", floor.API("", document("application/schema+json", storySchema)))
	mux.Handle("GET /asyncapi.yaml", floor.API("", document("application/yaml", asyncAPI)))
}

func document(mediaType string, content []byte) web.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h.Set("Content-Type", mediaType)
		h.Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(content) // who went away needs no answer
		return nil
	}
}

// answer is what POST /api/v1/stories says.
type answer struct {
	URI     string           `json:"uri"`
	Version int64            `json:"version"`
	Result  news.StoryResult `json:"result"`
}

// postStory takes one event: 202 with what became of it (also for a conflict,
// which is kept and shown on the desk); 400 when it is not a JSON story, 422
// when it is one that breaks a rule, 413 when it is too large. What it refuses
// is answered and not set aside: the sender is there and listens.
func (s *Service) postStory(w http.ResponseWriter, r *http.Request) error {
	ev, err := eventOf(w, r)
	if err != nil {
		return err
	}
	story, err := s.decoder.Decode(ev)
	if err != nil {
		var m malformed
		if errors.As(err, &m) {
			return err
		}
		return web.Status(http.StatusUnprocessableEntity, err)
	}
	// The effects are decided: a sender who hangs up does not undo them half way.
	stored, result, err := s.store(context.WithoutCancel(r.Context()), story)
	if err != nil {
		return err
	}
	s.log.Info("story taken in by HTTP", "result", result, "version", stored.Version, "by", web.PersonFrom(r.Context()).Name)
	return web.WriteJSON(w, http.StatusAccepted, answer{URI: stored.URI, Version: stored.Version, Result: result})
}

// eventOf makes an event of a request. Of its headers only the CloudEvents ones
// are looked at.
func eventOf(w http.ResponseWriter, r *http.Request) (news.StoryEvent, error) {
	body, err := web.ReadBody(w, r, MaxBody)
	if err != nil {
		return news.StoryEvent{}, err
	}
	headers := map[string][]string{}
	for name, values := range r.Header {
		if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "ce-") {
			headers[lower] = values
		}
	}
	return news.StoryEvent{Headers: headers, Body: body, Deliveries: 1}, nil
}

// Replay handles a dead letter again, after the sender's, the desk's or our own
// fault was mended, and notes how it went. The error is an *news.InvalidError
// when it still can't be used.
func (s *Service) Replay(ctx context.Context, id string) (news.Story, news.StoryResult, error) {
	d, err := s.config.Store.DeadLetter(ctx, id)
	if err != nil {
		return news.Story{}, "", fmt.Errorf("intake: replay %s: %w", id, err)
	}
	story, err := s.decoder.Decode(news.StoryEvent{Subject: d.Subject, Headers: d.Headers, Body: d.Body, Deliveries: 1})
	if err != nil {
		note := "still refused: " + err.Error()
		return news.Story{}, "", errors.Join(err, s.config.Store.MarkReplayed(ctx, id, note))
	}
	stored, result, err := s.store(ctx, story)
	if err != nil {
		return news.Story{}, "", fmt.Errorf("intake: replay %s: %w", id, err)
	}
	note := fmt.Sprintf("%s as version %d", result, stored.Version)
	if err := s.config.Store.MarkReplayed(ctx, id, note); err != nil {
		return news.Story{}, "", fmt.Errorf("intake: replay %s: %w", id, err)
	}
	s.log.Info("dead letter replayed", "dead_letter", id, "result", result)
	return stored, result, nil
}
