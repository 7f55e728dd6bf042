package digest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dateline/internal/email"
	"dateline/internal/news"
)

// Preview makes the mail that an imagined reader would get of an edition now, and says
// of every story what became of it. Nothing is sent, claimed or counted. An unknown
// place, zone or date is an *news.InvalidError.
func (s *Service) Preview(ctx context.Context, w news.DigestWish) (news.DigestPreview, error) {
	made, err := s.imagine(ctx, w)
	if err != nil {
		return news.DigestPreview{}, err
	}
	out := news.DigestPreview{Empty: made.selection.Empty(), Stories: made.choices()}
	if out.Empty {
		return out, nil
	}
	view, err := s.renderer.View(made.query.Edition, w.Wishes, made.selection)
	if err != nil {
		return out, err
	}
	rendered, err := view.For(Links{Manage: s.BaseURL + "/manage/preview", Unsubscribe: s.BaseURL + "/unsubscribe/preview"})
	if err != nil {
		return out, err
	}
	out.Subject, out.Preheader, out.HTML, out.Text = rendered.Subject, view.view.Preheader, rendered.HTML, rendered.Text
	out.Minutes = view.view.minutes()
	// The header takes about 2 KB with its signature.
	out.Bytes = email.EncodedSize(rendered.HTML) + email.EncodedSize(rendered.Text) + 2<<10
	return out, nil
}

// SendTest sends the mail of Preview to an address, marked as a test. It is no digest of
// anybody: its links to leave or change lead nowhere, and it is in no figure. An edition
// with nothing to say is news.ErrConflict.
func (s *Service) SendTest(ctx context.Context, w news.DigestWish, to string) (news.Receipt, error) {
	address, err := email.CheckAddress(to)
	if err != nil {
		return news.Receipt{}, err
	}
	p, err := s.Preview(ctx, w)
	if err != nil {
		return news.Receipt{}, err
	}
	if p.Empty {
		return news.Receipt{}, fmt.Errorf("%w: this reader would get no mail: there is no story for her", news.ErrConflict)
	}
	raw, err := s.Mailer.Compose(email.Mail{To: address, Subject: "[TEST] " + p.Subject, Text: p.Text, HTML: p.HTML,
		MessageID: s.messageID("test", randomName(), ""), Date: s.now()})
	if err != nil {
		return news.Receipt{}, fmt.Errorf("digest: test mail: %w", err)
	}
	return s.Mailer.Send(ctx, s.Mailer.Address(), address, raw, nil), nil
}

// imagined is an edition made for nobody.
type imagined struct {
	shelf     *Shelf
	query     Query
	selection Selection
}

func (s *Service) imagine(ctx context.Context, w news.DigestWish) (imagined, error) {
	zone, err := s.zones.load(cmp.Or(w.Wishes.Timezone, "UTC"))
	if err != nil {
		return imagined{}, news.Invalid("timezone", "is not a time zone, such as Asia/Tokyo")
	}
	now := s.now()
	edition := Edition{At: now, LocalDate: cmp.Or(w.LocalDate, now.In(zone).Format(dateFormat)), Weekly: w.Weekly, Timezone: zone.String(), Hour: w.Hour}
	if _, err := time.Parse(dateFormat, edition.LocalDate); err != nil {
		return imagined{}, news.Invalid("date", "must look like 2026-12-01")
	}
	shelf, err := s.shelves.load(ctx, now)
	if err != nil {
		return imagined{}, err
	}
	if w.Plan != nil {
		plan := *w.Plan
		plan.LocalDate, plan.Weekly = edition.LocalDate, edition.Weekly
		shelf.Plan(plan)
	}
	q := Query{Edition: edition, Wishes: w.Wishes}
	return imagined{shelf, q, shelf.Choose(q)}, nil
}

// shownLeftOut bounds the stories of which the preview says why they are not in it.
const shownLeftOut = 60

// choices says what became of the stories: those chosen in reading order, then others of
// the edition's window, the newest first.
func (m imagined) choices() []news.DigestChoice {
	plan := m.shelf.planOf(m.query.Edition)
	choice := func(story *news.Story, reason Reason) news.DigestChoice {
		text, _ := story.TextIn(m.query.Wishes.Language)
		return news.DigestChoice{URI: story.URI, Headline: text.Headline, Section: sectionOf(story, m.query.Wishes.Preference.Sections),
			Pinned: slices.Contains(plan.Pins, story.URI), Dropped: slices.Contains(plan.Drops, story.URI), Reason: reason.String()}
	}
	var out []news.DigestChoice
	chosen := map[string]bool{}
	for i, story := range m.selection.Stories() {
		c := choice(story, Chosen)
		c.Lead = i == 0
		chosen[story.URI] = true
		out = append(out, c)
	}
	var rest []*news.Story
	for i := range m.shelf.stories {
		story := m.shelf.stories[i].story
		if reason := m.shelf.Why(story.URI, m.query); !chosen[story.URI] && reason != TooOld && reason != NotFollowed {
			rest = append(rest, story)
		}
	}
	slices.SortFunc(rest, func(a, b *news.Story) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.URI, b.URI)) })
	for _, story := range rest[:min(len(rest), shownLeftOut)] {
		reason := m.shelf.Why(story.URI, m.query)
		if reason == Chosen { // it would have come, and twelve others come first
			reason = NoRoom
		}
		out = append(out, choice(story, reason))
	}
	return out
}
