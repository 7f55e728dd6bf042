package intake

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/web"
)

// newDoor serves a Service; the key is "key".
func newDoor(t *testing.T, store Store) *httptest.Server {
	t.Helper()
	floor, err := web.New(web.Config{AdminKey: "0123456789abcdef", BaseURL: "https://alerts.example"})
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, store, func(c *Config) { c.Floor = floor })
	mux := http.NewServeMux()
	s.Routes(mux)
	srv := httptest.NewServer(floor.Handler(mux))
	t.Cleanup(srv.Close)
	return srv
}

func post(t *testing.T, srv *httptest.Server, body, key string, headers map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/v1/stories", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(raw))
}

const adminKey = "0123456789abcdef"

func TestPostStory(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	srv := newDoor(t, store)
	send := func(changes map[string]any) string {
		t.Helper()
		status, body := post(t, srv, string(event(t, with(changes)).Body), adminKey, nil)
		if status != http.StatusAccepted {
			t.Fatalf("%d %s", status, body)
		}
		return body
	}
	got := []string{
		send(map[string]any{"version": 2}), send(map[string]any{"version": 2}),
		send(map[string]any{"version": 2, "headline": "Other"}), send(map[string]any{"version": 1}),
	}
	want := []string{
		`{"uri":"https://news.example/rice","version":2,"result":"stored"}`, `{"uri":"https://news.example/rice","version":2,"result":"duplicate"}`,
		`{"uri":"https://news.example/rice","version":2,"result":"conflict"}`, `{"uri":"https://news.example/rice","version":1,"result":"older"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPostStoryModes(t *testing.T) {
	t.Parallel()
	srv := newDoor(t, newFakeStore())
	story := string(event(t, with(nil)).Body)
	structured := `{"specversion":"1.0","id":"1","source":"cms","type":"t","data":` + story + `}`
	for name, tt := range map[string]struct {
		body    string
		headers map[string]string
	}{
		"bare":       {story, map[string]string{"Content-Type": "application/json"}},
		"binary":     {story, map[string]string{"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "cms", "Ce-Type": "t"}},
		"structured": {structured, map[string]string{"Content-Type": "application/cloudevents+json"}},
	} {
		if status, body := post(t, srv, tt.body, adminKey, tt.headers); status != http.StatusAccepted {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestPostStoryRefuses(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	srv := newDoor(t, store)
	good := string(event(t, with(nil)).Body)
	tests := []struct {
		name, body, key string
		status          int
		fault           string
	}{
		{"no key", good, "", http.StatusUnauthorized, ""},
		{"wrong key", good, "wrong key, of good length", http.StatusUnauthorized, ""},
		{"not JSON", "{", adminKey, http.StatusBadRequest, "the event is not JSON"},
		{"deep", strings.Repeat("[", 1000), adminKey, http.StatusBadRequest, "nests deeper"},
		{"invalid UTF-8", `{"headline":"` + "\xff" + `"}`, adminKey, http.StatusBadRequest, "not valid UTF-8"},
		{"a broken envelope", `{"specversion":"1.0","data":{}}`, adminKey, http.StatusBadRequest, "is required in a CloudEvent"},
		{"rules", string(event(t, with(map[string]any{"regions": []string{"PH", "XX"}})).Body), adminKey, http.StatusUnprocessableEntity, "is not a known region"},
		{"schema", string(event(t, with(map[string]any{"headline": nil})).Body), adminKey, http.StatusUnprocessableEntity, "is required"},
		{"too large", `{"headline":"` + strings.Repeat("x", 5<<20) + `"}`, adminKey, http.StatusRequestEntityTooLarge, ""},
	}
	for _, tt := range tests {
		status, body := post(t, srv, tt.body, tt.key, nil)
		var problem struct {
			Status int
			Errors []news.Problem
		}
		if err := json.Unmarshal([]byte(body), &problem); err != nil {
			t.Errorf("%s: %v in %s", tt.name, err, body)
		}
		if status != tt.status || problem.Status != tt.status || tt.fault != "" && (len(problem.Errors) == 0 || !strings.Contains(problem.Errors[0].Message, tt.fault)) {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
	}
	if len(store.letters) != 0 || len(store.stories) != 0 {
		t.Errorf("%d dead letters, %d stories", len(store.letters), len(store.stories))
	}
	store.break_(news.ErrUnavailable)
	if status, body := post(t, srv, good, adminKey, nil); status != http.StatusServiceUnavailable {
		t.Errorf("store down: %d %s", status, body)
	}
}

func TestDocumentsArePublished(t *testing.T) {
	t.Parallel()
	srv := newDoor(t, newFakeStore())
	for path, want := range map[string]struct {
		mediaType string
		content   []byte
	}{"/schema/story.json": {"application/schema+json", storySchema}, "/asyncapi.yaml": {"application/yaml", asyncAPI}} {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(raw) != string(want.content) || resp.Header.Get("Content-Type") != want.mediaType || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s, %v", path, resp.StatusCode, resp.Header.Get("Content-Type"), err)
		}
	}
}
