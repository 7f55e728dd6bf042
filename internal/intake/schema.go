package intake

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"dateline/internal/news"
)

// storySchema is the JSON Schema that the intake validates with, and that it
// publishes at /schema/story.json.
//
//go:embed story.schema.json
var storySchema []byte

// asyncAPI is the AsyncAPI 3 document published at /asyncapi.yaml.
//
//go:embed asyncapi.yaml
var asyncAPI []byte

// maxProblems is how many faults of one event are told.
const maxProblems = 20

func compileSchema() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(storySchema))
	if err != nil {
		return nil, fmt.Errorf("intake: story.schema.json: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("story.json", doc); err != nil {
		return nil, fmt.Errorf("intake: story.schema.json: %w", err)
	}
	schema, err := c.Compile("story.json")
	if err != nil {
		return nil, fmt.Errorf("intake: story.schema.json: %w", err)
	}
	return schema, nil
}

// validate holds a decoded JSON value against the schema; every fault names
// its path.
func validate(schema *jsonschema.Schema, value any) error {
	err := schema.Validate(value)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("intake: validate: %w", err)
	}
	var problems news.Problems
	collect(invalid, &problems)
	slices.SortStableFunc(problems, func(a, b news.Problem) int { return strings.Compare(a.Path, b.Path) })
	return limited(problems).Err()
}

// limited keeps the first faults and says how many more there are.
func limited(p news.Problems) news.Problems {
	if len(p) <= maxProblems {
		return p
	}
	more := len(p) - maxProblems
	p = p[:maxProblems:maxProblems]
	p.Add("", "and %d more", more)
	return p
}

// collect turns the leaves of a validation error into problems.
func collect(e *jsonschema.ValidationError, to *news.Problems) {
	for _, cause := range e.Causes {
		collect(cause, to)
	}
	if len(e.Causes) > 0 {
		return
	}
	path := make([]string, 0, len(e.InstanceLocation))
	for _, step := range e.InstanceLocation {
		path = append(path, pathStep(step))
	}
	at := strings.Join(path, "/")
	if missing, ok := e.ErrorKind.(*kind.Required); ok {
		for _, name := range missing.Missing {
			to.Add(strings.TrimPrefix(at+"/"+name, "/"), "is required")
		}
		return
	}
	if _, ok := e.ErrorKind.(*kind.Pattern); ok {
		to.Add(at, "%s", patternSentence(at))
		return
	}
	to.Add(at, "%s", sentence(e.ErrorKind))
}

// patternSentence says in words what the schema's two patterns ask for.
func patternSentence(path string) string {
	if path == "version" {
		return "must be a whole number of at least 1"
	}
	return "must be an absolute URI without spaces, such as https://news.example/2024/05/story"
}

// pathStep is one step of a path; keys are the sender's own words.
func pathStep(key string) string {
	if q := quote(key); q != "“"+key+"”" {
		return q
	}
	return key
}

// sentence says what is wrong and what would be right, without repeating more
// of the input than needed.
func sentence(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", orList(k.Want), k.Got)
	case *kind.Enum:
		want := make([]string, 0, len(k.Want))
		for _, w := range k.Want {
			if w != nil {
				want = append(want, fmt.Sprint(w))
			}
		}
		return fmt.Sprintf("must be %s, not %s", orList(want), quote(fmt.Sprint(k.Got)))
	case *kind.MinLength:
		return "must not be empty"
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters; at most %d are allowed", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("needs at least %d", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d entries; at most %d are allowed", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d entries; at most %d are allowed", k.Got, k.Want)
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.Format:
		return fmt.Sprintf("must be an RFC 3339 time such as 2024-05-06T01:30:00Z, not %s", quote(fmt.Sprint(k.Got)))
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}

func orList(words []string) string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "null" })
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
