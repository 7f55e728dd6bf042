package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// longestDeadline is RFC 8030's customary ceiling of a TTL at the public push
// services: four weeks.
const longestDeadline = 28 * 24 * time.Hour

// Writing is what an editor says of an alert. Nil and zero fields keep what is
// there: the story's own for a new alert, the alert's for an edit.
type Writing struct {
	StoryURI string               // of a new alert
	Level    string               // flash, bulletin, notice
	Texts    map[string]news.Text // of the languages the editor wrote
	Audience string               // region expression
	Sections []string             // not nil and empty: all
	Final    *bool                // the last alert of a running story
	Deadline time.Time
	// Of an edit: NoDeadline takes the deadline off, Only the languages that are
	// not in Texts.
	NoDeadline, Only bool
	Hash             string // of an edit: what was read; another content is not written over
	// faults that were found before it came here are named with the others.
	faults news.Problems
}

// Draft writes a new alert about a story. What the writing leaves out is taken
// from the story; a language without a text of the editor's has the story's.
func (d *Service) Draft(ctx context.Context, by news.Person, w Writing) (View, error) {
	if err := may(by, stepDraft); err != nil {
		return View{}, err
	}
	if w.StoryURI == "" {
		return View{}, news.Invalid("story", "is required: the uri of the story the alert is about")
	}
	story, err := d.store.Story(ctx, w.StoryURI)
	if errors.Is(err, news.ErrNotFound) {
		return View{}, fmt.Errorf("%w: there is no story with this uri; publish it first", news.ErrNotFound)
	}
	if err != nil {
		return View{}, fmt.Errorf("desk: draft an alert about %s: %w", w.StoryURI, err)
	}
	if story.Status == news.Canceled {
		return View{}, fmt.Errorf("%w: the story is canceled", news.ErrConflict)
	}
	a, err := d.drafted(by, &story, w)
	if err != nil {
		return View{}, err
	}
	audit := news.AuditEntry{At: a.CreatedAt, By: by.Name, Action: "draft", Subject: "alert/" + a.ID, Detail: news.RecordOf("draft", "", &a, nil).String()}
	if err := d.store.CreateAlert(ctx, a, audit); err != nil {
		return View{}, fmt.Errorf("desk: draft an alert about %s: %w", w.StoryURI, err)
	}
	d.log.Info("alert drafted", "alert", a.ID, "level", a.Level.String(), "by", by.Name)
	return d.view(ctx, a, story.Version)
}

func (d *Service) drafted(by news.Person, story *news.Story, w Writing) (news.Alert, error) {
	level, err := levelOf(w.Level, story)
	w.faults.Take("", err)
	a := news.DefaultAlert(story, level, by.Name, d.newID, d.now())
	room := d.room(&a, story)
	for l, t := range a.Texts {
		a.Texts[l] = fit(t, room(l))
	}
	err = write(&a, w, room, d.now())
	return a, err
}

// levelOf is the level asked for, or the one the story asks for.
func levelOf(word string, s *news.Story) (news.Level, error) {
	if word != "" {
		return news.ParseLevel(word)
	}
	return news.DefaultLevel(s), nil
}

// Edit changes an alert that has not been released. A change of what readers
// get, or until when, makes the editor its author and voids the approval and the
// submission.
func (d *Service) Edit(ctx context.Context, by news.Person, id string, w Writing) (View, error) {
	return d.take(ctx, by, stepEdit, id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		switch a.State {
		case news.AlertDraft, news.AlertSubmitted, news.AlertApproved:
		default:
			return news.AlertAction{}, fmt.Errorf("%w: an alert that is %s can't be edited", news.ErrConflict, a.State)
		}
		before, until := a.Hash(), a.Deadline
		if w.Hash != "" && w.Hash != before {
			return news.AlertAction{}, errWrittenOver
		}
		asked := w // this may be called again
		if w.Level != "" {
			level, err := news.ParseLevel(w.Level)
			asked.faults.Take("", err)
			a.Level = level
		}
		if err := write(a, asked, d.room(a, s), d.now()); err != nil {
			return news.AlertAction{}, err
		}
		if a.Hash() != before || !a.Deadline.Equal(until) {
			a.State, a.Author, a.Submitter, a.Approver, a.ApprovedHash = news.AlertDraft, by.Name, "", "", ""
			a.StoryVersion = s.Version
		}
		return news.AlertAction{Audit: "edit", By: by.Name}, nil
	})
}

var errWrittenOver = fmt.Errorf("%w: the alert was changed while you wrote; read what it says now, then save yours over it or leave", news.ErrConflict)

// write puts an editor's words into an alert, or says everything that is wrong
// with them.
func write(a *news.Alert, w Writing, room roomFor, now time.Time) error {
	texts, faults := cleanTexts("texts", w.Texts, room)
	faults = append(slices.Clone(w.faults), faults...)
	merged := make(map[string]news.Text, len(a.Texts)+len(texts))
	for l, t := range a.Texts {
		if !w.Only {
			merged[l] = t
		}
	}
	for l, t := range texts {
		merged[l] = t
	}
	if _, ok := merged[a.Language]; !ok && len(faults) == 0 {
		faults.Add("texts/"+a.Language, "is required: readers of languages without a text of their own get this one")
	}
	a.Texts = merged
	if w.Audience != "" {
		expr, err := parseAudience(w.Audience)
		faults.Take("audience", err)
		a.Audience = expr
	}
	if w.Sections != nil {
		sections, wrong := cleanSections(w.Sections)
		faults = append(faults, wrong...)
		a.Sections = sections
	}
	if w.Final != nil {
		a.Final = *w.Final
	}
	if w.NoDeadline {
		a.Deadline = time.Time{}
	}
	if !w.Deadline.IsZero() {
		faults.Take("deadline", checkDeadline(w.Deadline, now))
		a.Deadline = w.Deadline.UTC().Truncate(time.Microsecond)
	}
	return faults.Err()
}

// parseAudience is the canonical text of a region expression, or of places as one
// says them.
func parseAudience(text string) (string, error) {
	expr, err := region.Parse(text)
	if err != nil {
		if said := saidPlaces(text); said != "" {
			expr, err = region.Parse(said)
		}
	}
	if err != nil {
		return "", err
	}
	return expr.String(), nil
}

func cleanSections(given []string) ([]string, news.Problems) {
	var faults news.Problems
	sections := make([]string, 0, len(given))
	for i, s := range given {
		s = strings.ToLower(strings.TrimSpace(s))
		if !news.IsSection(s) {
			faults.Add(fmt.Sprintf("sections/%d", i), "is not a section: %q", firstRunes(s, 40))
			if len(faults) == 10 { // enough to see what is wrong
				break
			}
			continue
		}
		sections = append(sections, s)
	}
	slices.Sort(sections)
	return slices.Compact(sections), faults
}

func checkDeadline(deadline, now time.Time) error {
	switch {
	case !deadline.After(now):
		return fmt.Errorf("must be in the future; it is %s now", now.UTC().Format(time.RFC3339))
	case deadline.After(now.Add(longestDeadline)):
		return fmt.Errorf("must be within 28 days: push services keep nothing longer")
	}
	return nil
}

// correctedTexts are the texts of a correction. A language that the editor
// wrote no new text for does not repeat the old one, which may be what was
// wrong: it has the story's, when the story has changed since the alert and is
// not embargoed, and else falls back to the text of last resort, which must
// therefore be there.
func correctedTexts(a *news.Alert, s *news.Story, given map[string]news.Text, room roomFor, now time.Time) (map[string]news.Text, error) {
	texts, faults := cleanTexts("texts", given, room)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	if s.Version > a.StoryVersion && !s.Embargoed(now) {
		sameID := func() string { return a.ID }
		for l, t := range news.DefaultAlert(s, a.Level, a.Author, sameID, a.CreatedAt).Texts {
			if _, written := texts[l]; !written {
				texts[l] = fit(t, room(l))
			}
		}
	}
	if len(texts) == 0 && s.Embargoed(now) {
		return nil, news.Invalid("texts", "is required: the story's newest version is under embargo, so say what is right")
	}
	if len(texts) == 0 {
		return nil, news.Invalid("texts", "is required: the story has not changed since the alert, so say what is right")
	}
	if _, ok := texts[a.Language]; !ok {
		return nil, news.Invalid("texts/"+a.Language, "is required: readers of languages without a text of their own get this one")
	}
	return texts, nil
}

func firstRunes(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}
