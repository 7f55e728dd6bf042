package intake

import (
	"fmt"
	"strconv"
	"time"

	"dateline/internal/news"
)

// EventType is the CloudEvents type of a story event.
const EventType = "dateline.story.published"

// Event wraps the JSON text of a story as a CloudEvent in binary mode, ready to
// be published: its headers name the story, and its Nats-Msg-Id lets the stream
// drop a repetition within a day. The story is the decoded text.
func Event(story news.Story, body []byte, source string) news.StoryEvent {
	version := strconv.FormatInt(story.Version, 10)
	if story.Version == 0 {
		version = story.Created.Format(time.RFC3339Nano)
	}
	id := fmt.Sprintf("%s#%s", ascii(story.URI), version)
	return news.StoryEvent{Body: body, Headers: map[string][]string{
		"ce-specversion":     {"1.0"},
		"ce-id":              {id},
		"ce-source":          {source},
		"ce-type":            {EventType},
		"ce-time":            {story.Created.Format(time.RFC3339Nano)},
		"ce-datacontenttype": {"application/json"},
		// With the content's hash: a changed body must reach us, to be told as a
		// conflict, and not vanish as a repetition.
		"Nats-Msg-Id": {id + "#" + story.Hash[:min(12, len(story.Hash))]},
	}}
}

// ascii escapes what a header or a link may not hold.
func ascii(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f {
			out = append(out, c)
			continue
		}
		out = fmt.Appendf(out, "%%%02X", s[i])
	}
	return string(out)
}
