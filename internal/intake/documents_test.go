package intake

import (
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"dateline/internal/bus"
	"dateline/internal/news"
)

// The schema's words are the vocabulary's.
func TestSchemaKnowsTheVocabulary(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties map[string]struct {
			Enum     []any
			MaxItems int
			Items    struct{ Enum []any }
		}
	}
	if err := json.Unmarshal(storySchema, &schema); err != nil {
		t.Fatal(err)
	}
	words := func(in []any) []string {
		var out []string
		for _, v := range in {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	var sections []string
	for _, s := range news.Sections() {
		sections = append(sections, s.Name)
	}
	if diff := cmp.Diff(sections, words(schema.Properties["sections"].Items.Enum)); diff != "" {
		t.Errorf("sections: %s", diff)
	}
	if schema.Properties["sections"].MaxItems != len(sections) {
		t.Errorf("sections: at most %d of %d", schema.Properties["sections"].MaxItems, len(sections))
	}
	if diff := cmp.Diff(news.Kinds(), words(schema.Properties["kind"].Enum)); diff != "" {
		t.Errorf("kinds: %s", diff)
	}
	if diff := cmp.Diff([]string{string(news.Usable), string(news.Withheld), string(news.Canceled)}, words(schema.Properties["pubstatus"].Enum)); diff != "" {
		t.Errorf("pubstatus: %s", diff)
	}
}

// asyncDocument is asyncapi.yaml as JSON values.
func asyncDocument(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal(asyncAPI, &doc); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func TestAsyncAPIIsValid(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join("testdata", "asyncapi-3.0.0.schema.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(z)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("asyncapi.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(asyncDocument(t)); err != nil {
		t.Errorf("%v", err)
	}
}

func dig(t *testing.T, v any, path ...string) any {
	t.Helper()
	for _, step := range path {
		o, ok := v.(map[string]any)
		if !ok || o[step] == nil {
			t.Fatalf("no %s", strings.Join(path, "/"))
		}
		v = o[step]
	}
	return v
}

// The document says what the intake does: the channel is the one it reads, the
// story's schema is the published one, each example is accepted, and each
// header that is required is missed.
func TestAsyncAPIIsWhatTheIntakeDoes(t *testing.T) {
	t.Parallel()
	doc := asyncDocument(t)
	if got := dig(t, doc, "channels", "stories", "address"); got != bus.StorySubject {
		t.Errorf("address %v", got)
	}
	if got := dig(t, doc, "components", "schemas", "story", "schema", "$ref"); got != "/schema/story.json" {
		t.Errorf("schema %v", got)
	}
	d, err := NewDecoder(nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	messages := dig(t, doc, "components", "messages").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		for _, example := range dig(t, messages, name, "examples").([]any) {
			ev := news.StoryEvent{Headers: map[string][]string{}}
			headers, _ := example.(map[string]any)["headers"].(map[string]any)
			for k, v := range headers {
				ev.Headers[k] = []string{v.(string)}
			}
			if name == "structuredStory" {
				ev.Headers["content-type"] = []string{dig(t, messages, name, "contentType").(string)}
			}
			raw, err := json.Marshal(example.(map[string]any)["payload"])
			if err != nil {
				t.Fatal(err)
			}
			ev.Body = raw
			if _, err := d.Decode(ev); err != nil {
				t.Errorf("%s/%v: %v", name, example.(map[string]any)["name"], err)
			}
			if name != "binaryStory" {
				continue
			}
			for _, required := range dig(t, messages, name, "headers", "required").([]any) {
				without := maps.Clone(ev.Headers)
				delete(without, required.(string))
				// Without the marker it is no CloudEvent but a bare story.
				if _, err := d.Decode(news.StoryEvent{Headers: without, Body: raw}); err == nil && required != "ce-specversion" {
					t.Errorf("%s is not missed", required)
				}
			}
		}
	}
}
