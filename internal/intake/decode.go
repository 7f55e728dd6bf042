package intake

import (
	"bytes"
	"fmt"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"dateline/internal/news"
)

// Decoder turns events into stories. It has no state; it is safe for
// concurrent use.
type Decoder struct {
	schema *jsonschema.Schema
	hosts  map[string]bool // empty: any
	now    func() time.Time
}

// NewDecoder makes a Decoder that accepts links to these hosts only (as in
// DATELINE_STORY_HOSTS; none: any https host). An entry without a port means
// the default one.
func NewDecoder(storyHosts []string, now func() time.Time) (*Decoder, error) {
	schema, err := compileSchema()
	if err != nil {
		return nil, err
	}
	hosts, err := hostSet(storyHosts)
	if err != nil {
		return nil, err
	}
	return &Decoder{schema: schema, hosts: hosts, now: now}, nil
}

// malformed marks events that are not even a JSON story: the HTTP door answers
// them with 400, and well-formed stories that break a rule with 422.
type malformed struct{ error }

func (m malformed) Unwrap() error { return m.error }

// Decode reads an event: a CloudEvent in binary or structured mode, or a bare
// story. The error is an *news.InvalidError that names every fault and its
// path. Version is 0 when the event has none.
func (d *Decoder) Decode(ev news.StoryEvent) (news.Story, error) {
	data, err := unwrap(ev)
	if err != nil {
		return news.Story{}, malformed{err}
	}
	if err := validate(d.schema, data); err != nil {
		return news.Story{}, err
	}
	object, ok := data.(map[string]any)
	if !ok { // the schema has said so already
		return news.Story{}, news.Invalid("", "must be an object")
	}
	r := &reader{decoder: d, now: d.now()}
	s := r.story(object)
	if err := limited(r.problems).Err(); err != nil {
		return news.Story{}, err
	}
	s.Hash = contentHash(&s)
	return s, nil
}

// parse reads JSON text within the limits.
func parse(body []byte) (any, error) {
	// Windows editors put a byte order mark before JSON; it means nothing.
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if err := checkRaw(body); err != nil {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return nil, news.Invalid("", "the event is not JSON: %s", jsonFault(err))
	}
	return v, nil
}

// jsonFault is the decoder's complaint without the story's text in it.
func jsonFault(err error) string {
	text := fmt.Sprint(err)
	if len(text) > 120 {
		text = text[:120]
	}
	return quote(text)
}
