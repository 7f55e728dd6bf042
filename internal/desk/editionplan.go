package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"dateline/internal/news"
)

const (
	// maxNoteBytes bounds a note whose characters are made of many: a family in
	// emoji counts as one, and a letter may carry a tower of marks.
	maxNoteBytes = 10 * news.MaxNote
	// longestURI bounds what is looked up.
	longestURI = 2048
	// plansAhead is for how long one may plan.
	plansAhead = 366 * 24 * time.Hour
)

// planDay checks the date of a plan: one that is not over everywhere, and of a
// weekly digest a Saturday, which is its day.
func planDay(date string, weekly bool, now time.Time) error {
	day, err := time.Parse(time.DateOnly, date)
	switch {
	case err != nil:
		return news.Invalid("date", "must be a date such as 2026-12-01")
	case weekly && day.Weekday() != time.Saturday:
		return news.Invalid("date", "is a %s: a weekly digest comes on a Saturday", day.Weekday())
	case now.After(day.Add(24*time.Hour + lastClock)):
		return news.Invalid("date", "is over everywhere: its digests have gone")
	case day.Sub(now) > plansAhead:
		return news.Invalid("date", "is more than a year ahead")
	}
	return nil
}

// nextDay is the date a plan is for when none is asked for: the next one in UTC,
// which most of Asia's mornings are still ahead of; weekly the next Saturday.
func nextDay(weekly bool, now time.Time) string {
	day := now.UTC().AddDate(0, 0, 1)
	for weekly && day.Weekday() != time.Saturday {
		day = day.AddDate(0, 0, 1)
	}
	return day.Format(time.DateOnly)
}

// plan is what editors made of a date up to now; Version 0 when nothing.
func (d *Service) plan(ctx context.Context, date string, weekly bool) (news.EditionPlan, error) {
	none := news.EditionPlan{LocalDate: date, Weekly: weekly}
	plans, err := d.editions.EditionPlans(ctx, date)
	if err != nil {
		return none, fmt.Errorf("desk: the plan of %s: %w", date, err)
	}
	for _, p := range plans {
		if p.LocalDate == date && p.Weekly == weekly {
			return p, nil
		}
	}
	return none, nil
}

// setPlan changes a date's plan. p.Version is that of the plan that was read.
func (d *Service) setPlan(ctx context.Context, by news.Person, p news.EditionPlan) (news.EditionPlan, error) {
	if err := mayRunDigests(by); err != nil {
		return p, err
	}
	clean, err := d.cleanPlan(ctx, p)
	if err != nil {
		return p, err
	}
	saved, err := d.editions.SetEditionPlan(ctx, clean, by.Name)
	if !errors.Is(err, news.ErrConflict) {
		return saved, err
	}
	now, failed := d.plan(ctx, p.LocalDate, p.Weekly)
	if failed != nil || now.ChangedBy == "" {
		return p, err
	}
	return p, fmt.Errorf("%w: %s changed this plan at %s, while you wrote; read what it says now, then save yours over it or leave",
		news.ErrConflict, now.ChangedBy, clockTime(now.ChangedAt))
}

// cleanPlan cleans what an editor wrote and says what is wrong with it, all at
// once.
func (d *Service) cleanPlan(ctx context.Context, p news.EditionPlan) (news.EditionPlan, error) {
	var faults news.Problems
	faults.Take("", planDay(p.LocalDate, p.Weekly, d.now()))
	if p.Version < 0 {
		faults.Add("version", "must be that of the plan that was read, 0 for none")
	}
	p.Notes = cleanNotes(p.Notes, &faults)
	pins, err := d.cleanStories(ctx, "pins", p.Pins, news.MaxPins, &faults)
	if err != nil {
		return p, err
	}
	drops, err := d.cleanStories(ctx, "drops", p.Drops, news.MaxDrops, &faults)
	if err != nil {
		return p, err
	}
	for i, uri := range pins {
		if slices.Contains(drops, uri) {
			faults.Add(fmt.Sprintf("pins/%d", i), "is also left out (drops): it can't be both: %q", firstRunes(uri, 200))
		}
	}
	p.Pins, p.Drops = pins, drops
	return p, faults.Err()
}

// cleanNotes makes one clean line of each note; an empty one is none.
func cleanNotes(notes map[string]string, faults *news.Problems) map[string]string {
	clean := map[string]string{}
	if len(notes) > maxLanguages {
		faults.Add("notes", "has %d languages; at most %d", len(notes), maxLanguages)
		return clean
	}
	for _, key := range sortedKeys(notes) {
		text := news.CleanLine(notes[key])
		if text == "" {
			continue
		}
		at := "notes/" + firstRunes(key, 40)
		tag, err := language.Parse(key)
		switch n := columns(text); {
		case err != nil || tag == language.Und:
			faults.Add(at, "is not a language tag such as en, ja or zh-Hant")
		case clean[tag.String()] != "":
			faults.Add(at, "names a language that stands here twice")
		case !news.Visible(text):
			faults.Add(at, "has nothing to be seen in it")
		case n > news.MaxNote || len(text) > maxNoteBytes:
			faults.Add(at, "is %d columns long; a note may have %d (Chinese, Japanese and Korean characters and emoji take two)", n, news.MaxNote)
		default:
			clean[tag.String()] = text
		}
	}
	return clean
}

// cleanStories looks up every story that a plan names, so that a slip of the pen
// is found by whoever made it and not by nobody.
func (d *Service) cleanStories(ctx context.Context, path string, uris []string, most int, faults *news.Problems) ([]string, error) {
	clean := make([]string, 0, len(uris))
	if len(uris) > most {
		faults.Add(path, "has %d stories; at most %d", len(uris), most)
		return clean, nil
	}
	for i, uri := range uris {
		at := fmt.Sprintf("%s/%d", path, i)
		uri = strings.TrimSpace(uri)
		switch {
		case uri == "":
			faults.Add(at, "names no story")
			continue
		case slices.Contains(clean, uri):
			faults.Add(at, "names a story twice: %q", firstRunes(uri, 200))
			continue
		case len(uri) > longestURI:
			faults.Add(at, "is longer than the uri of any story")
			continue
		}
		_, err := d.store.Story(ctx, uri)
		switch {
		case errors.Is(err, news.ErrNotFound):
			faults.Add(at, "is the uri of no story that was published here: %q", firstRunes(uri, 200))
		case err != nil:
			return nil, fmt.Errorf("desk: a story of a plan: %w", err)
		default:
			clean = append(clean, uri)
		}
	}
	return clean, nil
}
