package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"dateline/internal/app/newsroom"
	"dateline/internal/news"
)

// injection is a story that came into a drill.
type injection struct {
	URI, Headline, Language string
	By                      string
	At                      time.Time
	Copy                    bool // of a real story
}

// prepared are the stories that a drill can bring in: the loudest of the
// newsroom's day, loudest first.
func prepared() ([]newsroom.Entry, error) {
	day, err := newsroom.Day()
	if err != nil {
		return nil, err
	}
	type weighed struct {
		newsroom.Entry
		urgency int
	}
	var loud []weighed
	for _, e := range day {
		var s struct {
			Urgency   int
			Pubstatus news.PubStatus
		}
		if err := json.Unmarshal(e.Story, &s); err != nil {
			return nil, fmt.Errorf("prepared stories: %w", err)
		}
		if s.Urgency <= 3 && s.Pubstatus == news.Usable {
			loud = append(loud, weighed{e, s.Urgency})
		}
	}
	slices.SortStableFunc(loud, func(a, b weighed) int { return a.urgency - b.urgency })
	entries := make([]newsroom.Entry, 0, len(loud))
	for _, w := range loud {
		entries = append(entries, w.Entry)
	}
	return entries, nil
}

// drillStory is a story's body as it comes into a drill.
type drillStory struct {
	URI          string               `json:"uri"`
	Version      int                  `json:"version"`
	Pubstatus    news.PubStatus       `json:"pubstatus"`
	Headline     string               `json:"headline"`
	Standfirst   string               `json:"standfirst,omitempty"`
	URL          string               `json:"url"`
	Kind         string               `json:"kind,omitempty"`
	Language     string               `json:"language"`
	Regions      []string             `json:"regions"`
	Sections     []string             `json:"sections,omitempty"`
	Urgency      int                  `json:"urgency"`
	Breaking     bool                 `json:"breaking"`
	Created      time.Time            `json:"versioncreated"`
	Translations map[string]drillText `json:"translations,omitempty"`
}

type drillText struct {
	Headline   string `json:"headline"`
	Standfirst string `json:"standfirst,omitempty"`
}

// injectNext brings the next prepared story in. After the last one they come
// again, each time as a story of its own.
func (d *drill) injectNext(ctx context.Context, by string) (injection, error) {
	all, err := prepared()
	if err != nil {
		return injection{}, err
	}
	d.mu.Lock()
	n := d.next
	d.next++
	d.mu.Unlock()
	var s drillStory
	if err := json.Unmarshal(all[n%len(all)].Story, &s); err != nil {
		return injection{}, fmt.Errorf("prepared story %d: %w", n, err)
	}
	s.Breaking = true
	return d.inject(ctx, s, by, false)
}

// injectCopy brings in what a real story says. The copy has an address of its
// own: nothing of it leads back.
func (d *drill) injectCopy(ctx context.Context, real news.Story, by string) (injection, error) {
	s := drillStory{Headline: real.Headline, Standfirst: real.Standfirst, Kind: real.Kind, Language: real.Language, Regions: real.Regions,
		Sections: real.Sections, Urgency: real.Urgency, Breaking: real.Breaking, Translations: map[string]drillText{}}
	for l, t := range real.Translations {
		s.Translations[l] = drillText(t)
	}
	return d.inject(ctx, s, by, true)
}

// inject publishes a story into the drill's own intake.
func (d *drill) inject(ctx context.Context, s drillStory, by string, copied bool) (injection, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	d.mu.Lock()
	s.URI = fmt.Sprintf("%s/stories/%d", drillSite, len(d.injected)+1)
	d.injected = append(d.injected, injection{URI: s.URI, Headline: s.Headline, Language: s.Language, By: by, At: now, Copy: copied})
	in := d.injected[len(d.injected)-1]
	d.mu.Unlock()
	d.setPace()
	s.URL, s.Version, s.Pubstatus, s.Created = s.URI, 1, news.Usable, now
	body, err := json.Marshal(s)
	if err != nil {
		return injection{}, fmt.Errorf("a drill's story: %w", err)
	}
	if d.intake.Handle(ctx, news.StoryEvent{Body: body, At: now}) != news.Ack() {
		return injection{}, fmt.Errorf("%w: the drill's intake did not take the story; its Set aside page says why", news.ErrUnavailable)
	}
	return in, nil
}

// nextUp is the headline of the prepared story that comes next.
func (d *drill) nextUp() (headline, language string, err error) {
	all, err := prepared()
	if err != nil {
		return "", "", err
	}
	d.mu.Lock()
	n := d.next % len(all)
	d.mu.Unlock()
	var s drillStory
	err = json.Unmarshal(all[n].Story, &s)
	return s.Headline, s.Language, err
}

// stories lists what came in, newest first.
func (d *drill) stories() []injection {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := slices.Clone(d.injected)
	slices.Reverse(list)
	return list
}
