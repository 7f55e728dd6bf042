package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/intake"
	"dateline/internal/news"
)

// TestExampleStory: the intake takes it, also where links are bound to hosts,
// and it is one that raises an alert.
func TestExampleStory(t *testing.T) {
	for name, hosts := range map[string][]string{"any host": nil, "hosts": {"www.example.org", "example.org"}} {
		decoder, err := intake.NewDecoder(hosts, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		body, err := ExampleStory(time.Now(), hosts)
		if err != nil {
			t.Fatal(err)
		}
		s, err := decoder.Decode(news.StoryEvent{Body: body, At: time.Now()})
		if err != nil || !s.Breaking || time.Since(s.Created) > time.Minute {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
		if warnings := storyWarnings(body, s, time.Now(), 6*time.Hour); len(warnings) > 0 {
			t.Errorf("%s: %v", name, warnings)
		}
	}
}

func TestStoryWarnings(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		body    string
		created time.Time
		embargo time.Time
		want    []string
	}{
		"a good one":       {`{"uri":"x","breaking":true,"$schema":"y"}`, now, time.Time{}, nil},
		"misspelt":         {`{"uri":"x","braking":true,"Breaking":true}`, now, time.Time{}, []string{"Breaking is not a field", "braking is not a field"}},
		"in an envelope":   {`{"specversion":"1.0","data":{"uri":"x","braking":true}}`, now, time.Time{}, []string{"braking is not a field"}},
		"old":              {`{}`, now.Add(-7 * time.Hour), time.Time{}, []string{"older than 6h: raises nothing by itself"}},
		"old, embargoed":   {`{}`, now.Add(-7 * time.Hour), now.Add(time.Hour), nil},
		"old, embargo old": {`{}`, now.Add(-9 * time.Hour), now.Add(-8 * time.Hour), []string{"older than 6h"}},
	} {
		got := storyWarnings([]byte(c.body), news.Story{Created: c.created, Embargo: c.embargo}, now, 6*time.Hour)
		if len(got) != len(c.want) || !slices.EqualFunc(got, c.want, strings.Contains) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestStoryFields: they are those of the schema that the intake publishes.
func TestStoryFields(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "intake", "story.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(raw, &schema); err != nil || len(schema.Properties) == 0 {
		t.Fatalf("the schema: %v", err)
	}
	for _, name := range storyFields() {
		if _, ok := schema.Properties[name]; !ok {
			t.Errorf("the schema has no field %s", name)
		}
		delete(schema.Properties, name)
	}
	for name := range schema.Properties {
		t.Errorf("storyFields lacks %s", name)
	}
}
