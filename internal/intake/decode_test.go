package intake

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
)

func decode(t testing.TB, o any) (news.Story, error) {
	t.Helper()
	return newDecoder(t).Decode(event(t, o))
}

// problems are the faults of an error, one a line.
func problems(t testing.TB, err error) string {
	t.Helper()
	var invalid *news.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("not an InvalidError: %v", err)
	}
	lines := make([]string, 0, len(invalid.Problems))
	for _, p := range invalid.Problems {
		lines = append(lines, p.Path+": "+p.Message)
	}
	return strings.Join(lines, "\n")
}

func TestDecodeEverything(t *testing.T) {
	t.Parallel()
	got, err := decode(t, with(map[string]any{
		"version": 3, "pubstatus": "withheld", "standfirst": "Traders <b>say</b>", "body": []string{"One.", " <p> </p>", "Two."},
		"image": map[string]any{"url": "https://cdn.example/rice.jpg", "alt": "A market", "width": 1200, "height": 675},
		"kind":  "analysis", "byline": "Ana Reyes", "language": "EN-ph", "regions": []string{"PH", "asean", "PH", "JP-13", "142"},
		"sections": []string{"business", "business", "society"}, "urgency": 1, "breaking": true,
		"versioncreated": "2024-05-06T09:30:00.1234567+08:00", "embargoed": "2024-05-06t12:00:00z",
		"translations": map[string]any{"fil": map[string]any{"headline": "Tumaas ang presyo", "standfirst": nil}, "en-ph": map[string]any{"headline": "x"}},
		"signals":      map[string]any{"ninjs has more": []int{1}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := news.Story{
		URI: "https://news.example/rice", Version: 3, Status: news.Withheld, Headline: "Rice prices rise in Manila", Standfirst: "Traders say",
		Body: []string{"One.", "Two."}, URL: "https://news.example/rice",
		Image: &news.Image{URL: "https://cdn.example/rice.jpg", Alt: "A market", Width: 1200, Height: 675},
		Kind:  "analysis", Byline: "Ana Reyes", Language: "en-PH", Regions: []string{"PH", "ASEAN", "JP-13", "142"},
		Sections: []string{"business", "society"}, Urgency: 1, Breaking: true,
		Created:      time.Date(2024, 5, 6, 1, 30, 0, 123456000, time.UTC),
		Embargo:      time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC),
		Translations: map[string]news.StoryText{"fil": {Headline: "Tumaas ang presyo"}},
		Hash:         got.Hash,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeDefaults(t *testing.T) {
	t.Parallel()
	got, err := decode(t, with(nil))
	if err != nil {
		t.Fatal(err)
	}
	nulls := map[string]any{}
	for _, name := range []string{"version", "pubstatus", "standfirst", "body", "image", "kind", "byline", "language", "sections", "urgency",
		"breaking", "embargoed", "translations"} {
		nulls[name] = json.RawMessage("null")
	}
	same, err := decode(t, with(nulls))
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != news.Usable || got.Language != "en" || got.Urgency != 5 || got.Version != 0 || got.Kind != "article" || got.Breaking {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(got, same); diff != "" {
		t.Errorf("null is not absent: %s", diff)
	}
}

func TestDecodeFixture(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join("testdata", "japan-cybersecurity.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := newDecoder(t, "news.example").Decode(news.StoryEvent{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if got.Headline != "Japan risks losing trust of US, other allies over its ‘serious’ cybersecurity flaws, minister warns" ||
		len(got.Body) != 4 || got.Urgency != 2 || !got.Breaking || got.Regions[0] != "JP" {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeNamesThePath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		changes map[string]any
		want    string // each line must be there
	}{
		{"all that is missing", map[string]any{"uri": nil, "headline": nil, "url": nil, "regions": nil, "versioncreated": nil},
			"headline: is required\nregions: is required\nuri: is required\nurl: is required\nversioncreated: is required"},
		{"types", map[string]any{"headline": 5, "breaking": "yes", "regions": "JP"}, "breaking: must be boolean, not string\nheadline: must be string, not number\nregions: must be array, not string"},
		{"region", map[string]any{"regions": []string{"JP", "XX"}}, "regions/1: “XX” is not a known region; write a UN M.49 area (035)"},
		{"no region", map[string]any{"regions": []string{}}, "regions: needs at least 1"},
		{"section", map[string]any{"sections": []string{"politics", "gossip"}}, "sections/1: must be politics, business"},
		{"status", map[string]any{"pubstatus": "killed"}, "pubstatus: must be usable, withheld or canceled, not “killed”"},
		{"kind", map[string]any{"kind": "essay"}, "kind: must be article, analysis, interview, photo or video, not “essay”"},
		{"urgency", map[string]any{"urgency": 10}, "urgency: must be at most 9"},
		{"version 0", map[string]any{"version": 0}, "version: must be at least 1"},
		{"version text", map[string]any{"version": "two"}, "version: must be a whole number of at least 1"},
		{"version fraction", map[string]any{"version": 1.5}, "version: must be integer or string, not number"},
		{"empty headline", map[string]any{"headline": ""}, "headline: must not be empty"},
		{"invisible headline", map[string]any{"headline": "<b> </b>\u200b\u3164"}, "headline: has no text once markup"},
		{"language", map[string]any{"language": "english"}, "language: must be a BCP 47 language tag such as en, zh-Hant or pt-BR, not “english”"},
		{"translation language", map[string]any{"translations": map[string]any{"xx-klingon!": map[string]any{"headline": "x"}}}, "translations/xx-klingon!: must be a BCP 47"},
		{"translation headline", map[string]any{"translations": map[string]any{"ja": map[string]any{"standfirst": "x"}}}, "translations/ja/headline: is required"},
		{"same language twice", map[string]any{"translations": map[string]any{"zh-TW": map[string]any{"headline": "x"}, "zh-tw": map[string]any{"headline": "y"}}}, "names the same language"},
		{"time", map[string]any{"versioncreated": "yesterday"}, "versioncreated: must be an RFC 3339 time such as 2024-05-06T01:30:00Z, not “yesterday”"},
		{"time without offset", map[string]any{"versioncreated": "2024-05-06T01:30:00"}, "versioncreated: must be an RFC 3339 time"},
		{"embargo for ever", map[string]any{"embargoed": "2034-01-01T00:00:00Z"}, "embargoed: is 2034-01-01T00:00:00Z: more than a year ahead"},
		{"uri not absolute", map[string]any{"uri": "rice"}, "uri: must be an absolute URI without spaces"},
		{"uri that runs", map[string]any{"uri": "javascript:alert(1)"}, "uri: must not be a javascript URI"},
		{"uri with hidden characters", map[string]any{"uri": "https://news.example/\u202eecir"}, "uri: contains the character U+202E"},
		{"image", map[string]any{"image": map[string]any{"url": "http://cdn.example/x.jpg", "width": -1}}, "image/width: must be at least 0"},
		{"image link", map[string]any{"image": map[string]any{"url": "http://cdn.example/x.jpg"}}, "image/url: must be an absolute https link"},
		{"too many paragraphs", map[string]any{"body": make([]string, 501)}, "body: has 501 entries; at most 500 are allowed"},
		{"an empty date", map[string]any{"versioncreated": ""}, "versioncreated: must be an RFC 3339 time"},
	}
	for _, tt := range tests {
		_, err := decode(t, with(tt.changes))
		if err == nil {
			t.Errorf("%s: accepted", tt.name)
			continue
		}
		got := problems(t, err)
		for line := range strings.SplitSeq(tt.want, "\n") {
			if !strings.Contains("\n"+got, "\n"+line) && !strings.Contains(got, line) {
				t.Errorf("%s: %q\nlacks %q", tt.name, got, line)
			}
		}
	}
}

func TestDecodeTellsAtMostTwentyFaults(t *testing.T) {
	t.Parallel()
	regions := make([]string, 50)
	for i := range regions {
		regions[i] = fmt.Sprintf("X%d", i)
	}
	_, err := decode(t, with(map[string]any{"regions": regions}))
	if got := strings.Split(problems(t, err), "\n"); len(got) != maxProblems+1 || got[maxProblems] != ": and 30 more" {
		t.Errorf("got %d faults, the last is %q", len(got), got[len(got)-1])
	}
}

func TestDecodeVersions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{`1`: 1, `"42"`: 42, `7.0`: 7, `1e2`: 100, `999999999999999`: 999999999999999} {
		got, err := decode(t, with(map[string]any{"version": json.RawMessage(in)}))
		if err != nil || got.Version != want {
			t.Errorf("%s: %d, %v", in, got.Version, err)
		}
	}
	for _, in := range []string{`1e15`, `"0"`, `""`, `-1`, `1e999999999`, `1` + strings.Repeat("0", 40), `true`} {
		if got, err := decode(t, with(map[string]any{"version": json.RawMessage(in)})); err == nil {
			t.Errorf("%s: accepted as %d", in, got.Version)
		}
	}
}

// What the schema has not seen must not be read: encoding/json would take a
// field whose name differs in case only.
func TestDecodeReadsExactNames(t *testing.T) {
	t.Parallel()
	got, err := decode(t, with(map[string]any{"HEADLINE": strings.Repeat("x", 5000), "Breaking": true, "Urgency": 99}))
	if err != nil || got.Headline != "Rice prices rise in Manila" || got.Breaking || got.Urgency != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDecodeEnvelopes(t *testing.T) {
	t.Parallel()
	story := string(event(t, with(nil)).Body)
	structured := `{"specversion":"1.0","id":"1","source":"cms","type":"t","datacontenttype":"application/json","data":` + story + `}`
	base64ed := `{"specversion":"1.0","id":"1","source":"cms","type":"t","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(story)) + `"}`
	binary := map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"cms"}, "ce-type": {"t"}}
	withHeader := func(name, value string) map[string][]string {
		h := map[string][]string{name: {value}}
		for k, v := range binary {
			if _, ok := h[k]; !ok {
				h[k] = v
			}
		}
		return h
	}
	structuredHeader := map[string][]string{"Content-Type": {"application/cloudevents+json; charset=UTF-8"}}
	tests := []struct {
		name    string
		headers map[string][]string
		body    string
		fault   string // "" : accepted
	}{
		{"bare", nil, story, ""},
		{"bare with a byte order mark", nil, "\xef\xbb\xbf" + story, ""},
		{"bare as a form (curl's default)", map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}, story, ""},
		{"binary", binary, story, ""},
		{"binary, names in capitals", map[string][]string{"Ce-Specversion": {"1.0"}, "CE-ID": {"1"}, "Ce-Source": {"cms"}, "ce-Type": {"t"}}, story, ""},
		{"binary, declared in NATS", withHeader("ce-datacontenttype", "application/ninjs+json; charset=utf-8"), story, ""},
		{"binary, declared in HTTP", withHeader("Content-Type", "application/json"), story, ""},
		{"binary, XML", withHeader("ce-datacontenttype", "application/xml"), story, "headers/ce-datacontenttype: must be application/json, not “application/xml”"},
		{"binary, other charset", withHeader("Content-Type", "application/json; charset=shift_jis"), story, "headers/content-type: must be UTF-8, not “shift_jis”"},
		{"binary, broken type", withHeader("ce-datacontenttype", "a/b/c"), story, "headers/ce-datacontenttype: “a/b/c” is not a media type"},
		{"binary, other version", withHeader("ce-specversion", "0.3"), story, "headers/ce-specversion: must be 1.0, not “0.3”"},
		{"binary, incomplete", map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"1"}}, story, "headers/ce-source: is required in a CloudEvent\nheaders/ce-type: is required in a CloudEvent"},
		{"structured", structuredHeader, structured, ""},
		{"structured, not declared", nil, structured, ""},
		{"structured, base64", structuredHeader, base64ed, ""},
		{"structured, bad base64", structuredHeader, `{"specversion":"1.0","id":"1","source":"cms","type":"t","data_base64":"%"}`, "data_base64: is not standard base64"},
		{"structured, both", structuredHeader, strings.Replace(structured, `"data":`, `"data_base64":"e30=","data":`, 1), "data: a structured CloudEvent has"},
		{"structured, neither", structuredHeader, story, "id: is required in a CloudEvent"},
		{"structured, not an object", structuredHeader, "[1]", ": a structured CloudEvent must be a JSON object"},
		{"structured, story as text", structuredHeader, `{"specversion":"1.0","id":"1","source":"cms","type":"t","data":"x"}`, ": must be object, not string"},
		{"batch", map[string][]string{"content-type": {"application/cloudevents-batch+json"}}, "[" + structured + "]", "headers/content-type: batches of events are not accepted"},
		{"not JSON", nil, "headline: rice", ": the event is not JSON"},
		{"two values", nil, story + story, ": the event is not JSON"},
		{"empty", nil, " \n", ": the event is empty"},
		{"an array", nil, "[]", ": must be object, not array"},
		{"null", nil, "null", ": must be object, not null"},
	}
	d := newDecoder(t)
	for _, tt := range tests {
		got, err := d.Decode(news.StoryEvent{Headers: tt.headers, Body: []byte(tt.body)})
		switch {
		case tt.fault == "" && (err != nil || got.URI != "https://news.example/rice"):
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		case tt.fault != "" && err == nil:
			t.Errorf("%s: accepted", tt.name)
		case tt.fault != "":
			if p := problems(t, err); !strings.Contains(p, tt.fault) {
				t.Errorf("%s: %q lacks %q", tt.name, p, tt.fault)
			}
		}
	}
}

// The CloudEvents SDK is the oracle: what it sends, we read.
func TestDecodeReadsTheSDKsEvents(t *testing.T) {
	t.Parallel()
	e := cloudevents.NewEvent()
	e.SetID("1")
	e.SetSource("https://news.example/cms")
	e.SetType(EventType)
	e.SetTime(clock())
	if err := e.SetData(cloudevents.ApplicationJSON, with(nil)); err != nil {
		t.Fatal(err)
	}
	structured, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	got := []news.StoryEvent{{Headers: map[string][]string{"Content-Type": {cloudevents.ApplicationCloudEventsJSON}}, Body: structured}}
	req, err := cloudevents.NewHTTPRequestFromEvent(t.Context(), "http://127.0.0.1/", e)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, req.ContentLength)
	if _, err := req.Body.Read(body); err != nil && len(body) == 0 {
		t.Fatal(err)
	}
	got = append(got, news.StoryEvent{Headers: req.Header, Body: body})
	for _, ev := range got {
		s, err := newDecoder(t).Decode(ev)
		if err != nil || s.Headline != "Rice prices rise in Manila" {
			t.Errorf("%v: %v", ev.Headers, err)
		}
	}
}

// And what we send, it reads.
func TestEventIsACloudEvent(t *testing.T) {
	t.Parallel()
	ev := event(t, with(map[string]any{"uri": "https://news.example/日本 rice"}))
	s, err := decode(t, with(map[string]any{"uri": "https://news.example/日本"}))
	if err != nil {
		t.Fatal(err)
	}
	out := Event(s, ev.Body, "https://news.example/cms")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/", strings.NewReader(string(out.Body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range out.Headers {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	// In HTTP this attribute is Content-Type (the SDK refuses the NATS way).
	req.Header.Set("Content-Type", out.Headers["ce-datacontenttype"][0])
	req.Header.Del("ce-datacontenttype")
	e, err := cloudevents.NewEventFromHTTPRequest(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	if want := "https://news.example/%E6%97%A5%E6%9C%AC#2024-05-06T01:30:00Z"; e.ID() != want {
		t.Errorf("id %q", e.ID())
	}
	if id := out.Headers["Nats-Msg-Id"][0]; !strings.HasPrefix(id, e.ID()+"#") || strings.ContainsAny(id, " \r\n") {
		t.Errorf("Nats-Msg-Id %q", id)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // "" : refused
		"https://news.example/a?b=c#d":           "https://news.example/a?b=c#d",
		"HTTPS://NEWS.example:443/A":             "https://news.example/A",
		"https://news.example":                   "https://news.example",
		"https://例え.jp/日本":                       "",
		"https://news.example:8443/a":            "",
		"https://other.example/a":                "",
		"https://news.example.evil.example/":     "",
		"https://news.example@evil.example/":     "",
		"https://user:pw@news.example/":          "",
		"http://news.example/":                   "",
		"//news.example/":                        "",
		"//evil/":                                "",
		"/a":                                     "",
		"https:news.example":                     "",
		"https:///a":                             "",
		"https://news.example\\@evil.example/":   "",
		"https://evil.example\\.news.example/":   "",
		"javascript:alert(1)":                    "",
		"JavaScript://news.example/%0aalert(1)":  "",
		"data:text/html,x":                       "",
		" https://news.example/":                 "",
		"https://news.example/a b":               "",
		"https://news.example/\x00":              "",
		"https://news.example:99999/":            "",
		"https://ports.example:8443/a":           "https://ports.example:8443/a",
		"https://ports.example/a":                "",
		"https://bücher.example/straße?q=größer": "https://xn--bcher-kva.example/stra%C3%9Fe?q=gr%C3%B6%C3%9Fer",
		"https://xn--bcher-kva.example/":         "https://xn--bcher-kva.example/",
		"https://[::1]/":                         "",
	}
	d := newDecoder(t, "news.example", " ports.example:8443 ", "bücher.example")
	for in, want := range tests {
		r := &reader{decoder: d, now: clock()}
		got := r.storyLink("url", in)
		if refused := len(r.problems) > 0; refused != (want == "") || !refused && got != want {
			t.Errorf("%q: got %q, %v", in, got, r.problems)
		}
	}
	anyHost := newDecoder(t)
	for _, in := range []string{"https://anything.example:8443/", "https://例え.jp/", "https://[::1]:8443/"} {
		r := &reader{decoder: anyHost, now: clock()}
		if r.storyLink("url", in); len(r.problems) > 0 {
			t.Errorf("%q: %v", in, r.problems)
		}
	}
	for _, bad := range []string{"https://news.example", "a b", "a/b", "user@host"} {
		if _, err := NewDecoder([]string{bad}, clock); !errors.Is(err, news.ErrInvalid) {
			t.Errorf("host %q: %v", bad, err)
		}
	}
}

func TestHashTellsContentNotVersion(t *testing.T) {
	t.Parallel()
	base, err := decode(t, with(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string]map[string]any{
		"version":      {"version": 5},
		"markup":       {"headline": "<b>Rice</b> prices rise in  Manila"},
		"unknown":      {"x": 1},
		"the default":  {"urgency": 5},
		"another zone": {"versioncreated": "2024-05-06T09:30:00+08:00"},
	} {
		if s, err := decode(t, with(changes)); err != nil || s.Hash != base.Hash {
			t.Errorf("%s changed the hash (%v)", name, err)
		}
	}
	for name, changes := range map[string]map[string]any{
		"headline":     {"headline": "Rice"},
		"status":       {"pubstatus": "canceled"},
		"embargo":      {"embargoed": "2024-05-07T00:00:00Z"},
		"translations": {"translations": map[string]any{"ja": map[string]any{"headline": "米"}}},
	} {
		if s, err := decode(t, with(changes)); err != nil || s.Hash == base.Hash {
			t.Errorf("%s did not change the hash (%v)", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	body := event(f, with(map[string]any{"translations": map[string]any{"ja": map[string]any{"headline": "米"}}, "image": map[string]any{"url": "https://x.example/"}})).Body
	seeds := []string{string(body), `{"specversion":"1.0","id":"1","source":"s","type":"t","data":` + string(body) + `}`,
		`[`, `{"a":1e999999999}`, `"\ud800"`, `"\u0000"`, strings.Repeat("[", 100), "\xff", `{"headline":"<script>"}`, `{"version":1e1}`}
	for _, s := range seeds {
		f.Add([]byte(s), "", "")
		f.Add([]byte(s), "1.0", "application/cloudevents+json")
		f.Add([]byte(s), "1.0", "")
	}
	d := newDecoder(f)
	f.Fuzz(func(t *testing.T, body []byte, specversion, contentType string) {
		headers := map[string][]string{"ce-specversion": {specversion}, "content-type": {contentType}, "ce-id": {"1"}, "ce-source": {"s"}, "ce-type": {"t"}}
		s, err := d.Decode(news.StoryEvent{Headers: headers, Body: body})
		if err != nil {
			problems(t, err) // every refusal names its faults
			return
		}
		if s.URI == "" || s.Headline == "" || len(s.Regions) == 0 || s.Hash == "" || !strings.HasPrefix(s.URL, "https://") || s.Created.IsZero() {
			t.Errorf("accepted half a story: %+v", s)
		}
		if again, err := clean(s.Headline); err != nil || again != s.Headline {
			t.Errorf("headline %q is not clean", s.Headline)
		}
	})
}
