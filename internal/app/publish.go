package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dateline/internal/bus"
	"dateline/internal/intake"
	"dateline/internal/news"
)

// Publish sends the stories in the files ("-" is stdin) to NATS, each file one
// story or a list of them. All files are checked first: with a fault in any,
// nothing is published. What is no fault, but hardly meant, is warned of.
func Publish(ctx context.Context, cfg *Config, files []string, stdin io.Reader, out, warn io.Writer) error {
	events, err := eventsIn(cfg, files, stdin, warn)
	if err != nil {
		return fmt.Errorf("nothing was published: %w", err)
	}
	url, err := natsURL(ctx, cfg)
	if err != nil {
		return err
	}
	b, err := bus.Open(ctx, bus.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return cfg.natsFault(err)
	}
	defer b.Close()
	for i, ev := range events {
		if err := b.PublishStory(ctx, ev); err != nil {
			return fmt.Errorf("story %d of %d was not acknowledged: %w", i+1, len(events), err)
		}
	}
	_, err = fmt.Fprintf(out, "%s published and acknowledged\n", number(len(events), "story", "stories"))
	return err
}

// eventsIn reads and checks the stories of all files.
func eventsIn(cfg *Config, files []string, stdin io.Reader, warn io.Writer) (events []news.StoryEvent, err error) {
	decoder, err := intake.NewDecoder(cfg.StoryHosts, time.Now)
	if err != nil {
		return nil, err
	}
	var problems news.Problems
	for _, name := range files {
		bodies, err := storiesIn(name, stdin)
		if err != nil {
			problems.Take(name, err)
			continue
		}
		for i, body := range bodies {
			where := name
			if len(bodies) > 1 {
				where = fmt.Sprintf("%s/%d", name, i)
			}
			story, err := decoder.Decode(news.StoryEvent{Body: body, At: time.Now()})
			if err != nil {
				problems.Take(where, err)
				continue
			}
			for _, words := range storyWarnings(body, story, time.Now(), cfg.MaxStoryAge) {
				fmt.Fprintf(warn, "warning: %s: %s\n", where, words)
			}
			events = append(events, intake.Event(story, body, "dateline publish"))
		}
	}
	return events, problems.Err()
}

// storyFields are the properties of the story's schema; a test compares them.
func storyFields() []string {
	return []string{"uri", "version", "pubstatus", "headline", "standfirst", "body", "url", "image", "kind", "byline",
		"language", "regions", "sections", "urgency", "breaking", "versioncreated", "embargoed", "translations"}
}

// storyWarnings are what the sender of a good story would want to know: fields
// that mean nothing, and an age at which it raises nothing by itself.
func storyWarnings(body []byte, s news.Story, now time.Time, maxAge time.Duration) (warnings []string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil // it was decoded; what this reader can't read is not told
	}
	if _, envelope := fields["specversion"]; envelope { // a CloudEvent
		data := fields["data"]
		fields = nil
		_ = json.Unmarshal(data, &fields)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(storyFields(), name) && !strings.HasPrefix(name, "$") { // $schema is an editor's
			warnings = append(warnings, fmt.Sprintf("%s is not a field of a story: ignored", news.CleanLine(name)))
		}
	}
	since := s.Created
	if s.Embargo.After(since) { // its age counts from there (DESIGN 6)
		since = s.Embargo
	}
	if now.Sub(since) > maxAge {
		warnings = append(warnings, fmt.Sprintf("older than %s: raises nothing by itself", brief(maxAge)))
	}
	return warnings
}

// brief writes a duration without the zeros at its end: 6h, not 6h0m0s.
func brief(d time.Duration) string {
	text := d.String()
	for _, zeros := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zeros) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// number counts things in words: 1 story, 2 stories.
func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// storiesIn reads one file: one story, or a JSON list of stories.
func storiesIn(name string, stdin io.Reader) ([][]byte, error) {
	var raw []byte
	var err error
	if name == "-" {
		raw, err = io.ReadAll(stdin)
	} else {
		raw, err = os.ReadFile(filepath.Clean(name))
	}
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimSpace(raw)
	if !bytes.HasPrefix(raw, []byte("[")) {
		return [][]byte{raw}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("is not a list of stories: %w", err)
	}
	bodies := make([][]byte, len(list))
	for i, one := range list {
		bodies[i] = one
	}
	return bodies, nil
}

// natsURL is NATS_URL, else what the running process wrote for us.
func natsURL(ctx context.Context, cfg *Config) (string, error) {
	if cfg.NATSURL != "" {
		return cfg.NATSURL, nil
	}
	noneRuns := fmt.Errorf("no dateline is running on the data folder %s: start `dateline serve`, or set NATS_URL or DATELINE_DATA", cfg.Data)
	path := filepath.Join(cfg.Data, "nats.url")
	raw, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, os.ErrNotExist) {
		return "", noneRuns
	}
	if err != nil {
		return "", fmt.Errorf("the address of the embedded NATS: %w", err)
	}
	address := strings.TrimSpace(string(raw))
	if !answers(ctx, address) { // left by one that was killed
		return "", noneRuns
	}
	return address, nil
}

// answers reports whether somebody listens at a URL of this machine.
func answers(ctx context.Context, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
