package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dateline/internal/bus"
	"dateline/internal/intake"
	"dateline/internal/news"
)

// Publish sends the stories in the files ("-" is stdin) to NATS, each file one
// story or a list of them. All files are checked first: with a fault in any,
// nothing is published.
func Publish(ctx context.Context, cfg *Config, files []string, stdin io.Reader, out io.Writer) error {
	decoder, err := intake.NewDecoder(cfg.StoryHosts, time.Now)
	if err != nil {
		return err
	}
	var events []news.StoryEvent
	var problems news.Problems
	for _, name := range files {
		bodies, err := storiesIn(name, stdin)
		if err != nil {
			problems.Take(name, err)
			continue
		}
		for i, body := range bodies {
			story, err := decoder.Decode(news.StoryEvent{Body: body, At: time.Now()})
			if err != nil {
				where := name
				if len(bodies) > 1 {
					where = fmt.Sprintf("%s/%d", name, i)
				}
				problems.Take(where, err)
				continue
			}
			events = append(events, intake.Event(story, body, "dateline publish"))
		}
	}
	if err := problems.Err(); err != nil {
		return fmt.Errorf("nothing was published: %w", err)
	}
	url, err := natsURL(ctx, cfg)
	if err != nil {
		return err
	}
	b, err := bus.Open(ctx, bus.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer b.Close()
	for i, ev := range events {
		if err := b.PublishStory(ctx, ev); err != nil {
			return fmt.Errorf("story %d of %d was not acknowledged: %w", i+1, len(events), err)
		}
	}
	noun := "stories"
	if len(events) == 1 {
		noun = "story"
	}
	_, err = fmt.Fprintf(out, "%d %s published and acknowledged\n", len(events), noun)
	return err
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
