package intake

import (
	"encoding/base64"
	"mime"
	"strings"

	"dateline/internal/news"
)

// The three ways an event can come (CloudEvents 1.0.2, NATS protocol binding):
// binary mode has the attributes in ce- headers and the story as body;
// structured mode has both in a JSON object and says so in Content-Type; and a
// bare story has no envelope. In NATS the attribute datacontenttype is an
// ordinary header, ce-datacontenttype; in HTTP it is Content-Type.
const (
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"
)

// unwrap takes the story, as decoded JSON, out of its envelope.
func unwrap(ev news.StoryEvent) (any, error) {
	headers, err := readHeaders(ev.Headers)
	if err != nil {
		return nil, err
	}
	media, err := mediaType("headers/content-type", headers["content-type"])
	switch {
	case err != nil && headers["ce-specversion"] != "":
		return nil, err
	case media == batchType:
		return nil, news.Invalid("headers/content-type", "batches of events are not accepted; send one event a message")
	case media == structuredType:
		return unwrapStructured(ev.Body, true)
	case headers["ce-specversion"] != "":
		return unwrapBinary(headers, ev.Body)
	}
	return unwrapStructured(ev.Body, false)
}

// readHeaders gives the first value of each header, by lower-case name (NATS
// leaves the case as it was sent).
func readHeaders(in map[string][]string) (map[string]string, error) {
	size, out := 0, map[string]string{}
	for name, values := range in {
		for _, v := range values {
			size += len(name) + len(v)
		}
		if lower := strings.ToLower(name); len(values) > 0 && (lower == "content-type" || strings.HasPrefix(lower, "ce-")) {
			out[lower] = values[0]
		}
	}
	if size > MaxHeaders {
		return nil, news.Invalid("headers", "have %d bytes; at most %d are allowed", size, MaxHeaders)
	}
	return out, nil
}

// mediaType reads a media type; "" when there is none.
func mediaType(path, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	media, parameters, err := mime.ParseMediaType(value)
	if err != nil {
		return "", news.Invalid(path, "%s is not a media type", quote(value))
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", news.Invalid(path, "must be UTF-8, not %s", quote(charset))
	}
	return media, nil
}

func unwrapBinary(headers map[string]string, body []byte) (any, error) {
	var p news.Problems
	p.Take("headers", attributes(func(name string) string { return headers["ce-"+name] }, "ce-"))
	path := "headers/ce-datacontenttype"
	declared := headers["ce-datacontenttype"]
	if declared == "" {
		path, declared = "headers/content-type", headers["content-type"]
	}
	p.Take("", jsonContent(path, declared))
	if err := p.Err(); err != nil {
		return nil, err
	}
	return parse(body)
}

// attributes checks what a CloudEvent must have. Their values are not used:
// a story is known by its uri and version.
func attributes(get func(string) string, prefix string) error {
	var p news.Problems
	for _, name := range []string{"id", "source", "type"} {
		if get(name) == "" {
			p.Add(prefix+name, "is required in a CloudEvent")
		}
	}
	if v := get("specversion"); v != "1.0" {
		p.Add(prefix+"specversion", "must be 1.0, not %s", quote(v))
	}
	return p.Err()
}

func jsonContent(path, declared string) error {
	media, err := mediaType(path, declared)
	if err != nil {
		return err
	}
	if media == "" || media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json") {
		return nil
	}
	return news.Invalid(path, "must be application/json, not %s", quote(media))
}

// unwrapStructured reads an object that may be an envelope; declared says that
// its Content-Type calls it one. Undeclared it is one when it looks like one:
// command lines seldom set headers.
func unwrapStructured(body []byte, declared bool) (any, error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	_, hasData := object["data"]
	_, hasBase64 := object["data_base64"]
	_, hasSpec := object["specversion"]
	if !declared && (!hasSpec || !hasData && !hasBase64) {
		return v, nil
	}
	if !ok {
		return nil, news.Invalid("", "a structured CloudEvent must be a JSON object")
	}
	var p news.Problems
	p.Take("", attributes(func(name string) string { return text(object, name) }, ""))
	p.Take("", jsonContent("datacontenttype", text(object, "datacontenttype")))
	if hasData == hasBase64 {
		p.Add("data", "a structured CloudEvent has the story in data or in data_base64, one of them")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if hasData {
		return object["data"], nil
	}
	return decodeBase64(text(object, "data_base64"))
}

func decodeBase64(s string) (any, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, news.Invalid("data_base64", "is not standard base64")
	}
	return parse(raw)
}
