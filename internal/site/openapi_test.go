package site

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

type openAPI struct {
	t    *testing.T
	doc  map[string]any
	deep *jsonschema.Compiler
}

func readOpenAPI(t *testing.T) *openAPI {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(doc) // numbers and maps as JSON has them
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("file:///openapi.json", value); err != nil {
		t.Fatal(err)
	}
	return &openAPI{t: t, doc: value.(map[string]any), deep: c}
}

// holds validates a JSON text against one of the document's schemas.
func (o *openAPI) holds(schema, text string) error {
	o.t.Helper()
	compiled, err := o.deep.Compile("file:///openapi.json#/components/schemas/" + schema)
	if err != nil {
		o.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		o.t.Fatal(err)
	}
	return compiled.Validate(value)
}

func (o *openAPI) at(pointer string) any {
	var here any = o.doc
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "#/"), "/") {
		m, ok := here.(map[string]any)
		if !ok {
			return nil
		}
		here = m[strings.ReplaceAll(step, "~1", "/")]
	}
	return here
}

// TestOpenAPINamesEveryDoor: each machine door that is registered is in the
// document, and each path there that is ours is registered.
func TestOpenAPINamesEveryDoor(t *testing.T) {
	o := readOpenAPI(t)
	registered := map[string]bool{}
	for _, r := range newHouse(t, nil).site.routes() {
		registered[r.pattern] = true
		method, path, _ := strings.Cut(r.pattern, " ")
		if strings.HasPrefix(path, "/api/") || path == "/openapi.yaml" || strings.HasPrefix(path, "/confirm/") || strings.HasPrefix(path, "/unsubscribe/") {
			if o.at("#/paths/"+strings.ReplaceAll(path, "/", "~1")+"/"+strings.ToLower(method)) == nil {
				t.Errorf("%s is not in the document", r.pattern)
			}
		}
	}
	// The doors of other parts, by the contract.
	others := []string{"POST /api/v1/stories", "GET /api/v1/alerts", "POST /api/v1/alerts", "GET /api/v1/alerts/{id}", "POST /api/v1/digests/run",
		"GET /api/v1/editions", "POST /api/v1/editions/pause", "POST /api/v1/editions/resume", "POST /api/v1/editions/resend",
		"GET /api/v1/editions/plan", "PUT /api/v1/editions/plan",
		"GET /asyncapi.yaml", "GET /schema/story.json", "GET /healthz", "GET /readyz"}
	for _, step := range []string{"submit", "approve", "release", "hold", "resume", "cancel", "kill", "correct"} {
		others = append(others, "POST /api/v1/alerts/{id}/"+step)
	}
	for _, door := range others {
		registered[door] = true
		method, path, _ := strings.Cut(door, " ")
		if o.at("#/paths/"+strings.ReplaceAll(path, "/", "~1")+"/"+strings.ToLower(method)) == nil {
			t.Errorf("%s is not in the document", door)
		}
	}
	ids := map[string]bool{}
	for path, item := range o.doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			if !registered[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s is in the document and nowhere else", method, path)
			}
			id := fmt.Sprint(op.(map[string]any)["operationId"])
			if ids[id] {
				t.Errorf("operationId %s twice", id)
			}
			ids[id] = true
		}
	}
}

func TestOpenAPIReferencesResolve(t *testing.T) {
	o := readOpenAPI(t)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && strings.HasPrefix(ref, "#") && o.at(ref) == nil {
				t.Errorf("%s leads nowhere", ref)
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(o.doc)
}

// TestOpenAPIHoldsForRealBodies sends what the document allows and validates
// what comes back.
func TestOpenAPIHoldsForRealBodies(t *testing.T) {
	o, h := readOpenAPI(t), newHouse(t, nil)
	full := body("mutedRegions", `["SG"]`, "sections", `["politics"]`, "level", `"flash"`, "overrides", `[{"regions":["JP"],"level":"notice"}]`,
		"regions", `["JP","035"]`, "language", `"ja"`, "onlyLanguage", "true", "timezone", `"Asia/Tokyo"`, "quiet", `{"from":"22:00","to":"07:00","flash":false}`,
		"cap", "5", "pausedUntil", `"2026-12-01T00:00:00+09:00"`, "mutedStories", `["https://news.example/a"]`)
	nulls := body("mutedRegions", "null", "sections", "null", "level", "null", "overrides", "null", "language", "null", "onlyLanguage", "null", "timezone", "null",
		"quiet", "null", "cap", "null", "pausedUntil", "null", "mutedStories", "null")
	for _, b := range []string{body(), full, nulls} {
		if err := o.holds("NewSubscription", b); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		w := h.do("POST", "/api/v1/subscriptions", b)
		if w.Code != 200 && w.Code != 201 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		answer := w.Body.String()
		if err := o.holds("Credentials", answer); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
		var c credentials
		decode(t, strings.NewReader(answer), &c)
		got := h.do("GET", "/api/v1/subscriptions/"+c.ID, "", "Authorization", "Bearer "+c.Token).Body.String()
		if err := o.holds("Subscription", got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	for _, b := range []string{body("regions", "[]"), body("level", `"loud"`), body("subscription", ""), body("cap", "0"), body("quiet", `{"from":"24:00","to":"x"}`)} {
		if o.holds("NewSubscription", b) == nil {
			t.Errorf("the document allows %s", b)
		}
		w := h.do("POST", "/api/v1/subscriptions", b)
		if err := o.holds("Problem", w.Body.String()); err != nil || w.Code != 400 {
			t.Errorf("%d %s: %v", w.Code, w.Body, err)
		}
	}
	digest := `{"email":"a@b.example","regions":["JP"],"mutedRegions":null,"sections":[],"level":"notice","language":"ja","timezone":"Asia/Tokyo","hour":7,"days":[1,2],"weekly":false,"pausedUntil":null}`
	if err := o.holds("NewDigest", digest); err != nil || h.do("POST", "/api/v1/digests", digest).Code != 202 {
		t.Error(err)
	}
}

// TestOpenAPIStatusesAreTheOnesAnswered: a status that a door of ours answers
// in these tests is one the document names.
func TestOpenAPIStatusesAreTheOnesAnswered(t *testing.T) {
	o, h := readOpenAPI(t), newHouse(t, func(c *Config) { c.SignupLimit = 1 })
	c := h.subscribe()
	auth := []string{"Authorization", "Bearer " + c.Token}
	one := "/api/v1/subscriptions/" + c.ID
	for _, a := range []struct {
		method, path, door, body string
		header                   []string
	}{
		{"POST", "/api/v1/subscriptions", "/api/v1/subscriptions", body(), nil},
		{"POST", "/api/v1/subscriptions", "/api/v1/subscriptions", "", nil},
		{"POST", "/api/v1/subscriptions", "/api/v1/subscriptions", strings.Repeat(" ", maxBody+1), nil},
		{"POST", "/api/v1/subscriptions", "/api/v1/subscriptions", body("subscription", subscription(goodPush+"9", goodP256dh, goodAuth)), nil},
		{"GET", one, "/api/v1/subscriptions/{id}", "", auth},
		{"GET", one, "/api/v1/subscriptions/{id}", "", nil},
		{"GET", one + "9", "/api/v1/subscriptions/{id}", "", auth},
		{"PATCH", one, "/api/v1/subscriptions/{id}", "{}", auth},
		{"PATCH", one, "/api/v1/subscriptions/{id}", "[", auth},
		{"POST", one + "/stories", "/api/v1/subscriptions/{id}/stories", `{"alert":"x","want":"none"}`, auth},
		{"POST", one + "/stories", "/api/v1/subscriptions/{id}/stories", `{"want":"x"}`, auth},
		{"POST", one + "/test", "/api/v1/subscriptions/{id}/test", "", nil},
		{"DELETE", one, "/api/v1/subscriptions/{id}", "", auth},
		{"GET", one, "/api/v1/subscriptions/{id}", "", auth},
		{"POST", "/api/v1/digests", "/api/v1/digests", "{}", nil},
		{"POST", "/api/v1/digests", "/api/v1/digests", `{"email":"a@b.example","regions":["JP"]}`, nil},
		{"POST", "/api/v1/digests", "/api/v1/digests", `{"email":"a@b.example","regions":["JP"]}`, nil},
		{"POST", "/api/v1/receipts", "/api/v1/receipts", "", nil},
		{"GET", "/api/v1/push/key", "/api/v1/push/key", "", nil},
		{"GET", "/confirm/x", "/confirm/{token}", "", nil},
		{"POST", "/unsubscribe/x", "/unsubscribe/{token}", "", nil},
	} {
		w := h.do(a.method, a.path, a.body, a.header...)
		responses, _ := o.at("#/paths/" + strings.ReplaceAll(a.door, "/", "~1") + "/" + strings.ToLower(a.method) + "/responses").(map[string]any)
		var named []string
		for status := range responses {
			named = append(named, status)
		}
		if !slices.Contains(named, fmt.Sprint(w.Code)) {
			t.Errorf("%s %s answered %d; the document names %v", a.method, a.door, w.Code, named)
		}
	}
}

// The editions and the plan that the desk's doors answer, in its tests, are as the
// document says.
func TestOpenAPIHoldsForEditions(t *testing.T) {
	o := readOpenAPI(t)
	for file, schema := range map[string]string{"editions.json": "Editions", "plan.json": "EditionPlan"} {
		text, err := os.ReadFile("../desk/testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.holds(schema, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
