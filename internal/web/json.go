package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"dateline/internal/news"
)

// maxDepth bounds how deep JSON may nest; our deepest body has six levels.
const maxDepth = 32

// ReadJSON reads a JSON body of at most limit bytes into dst. Faults are an
// *news.InvalidError that names the place, a body over the limit is
// news.ErrTooLarge. Fields that dst does not have are ignored.
func ReadJSON(w http.ResponseWriter, r *http.Request, dst any, limit int64) error {
	body, err := ReadBody(w, r, limit)
	if err != nil {
		return err
	}
	return DecodeJSON(body, dst)
}

// drained is up to what declared length a body that is too large is read and
// forgotten: a client that is still writing when the connection closes sees a
// reset connection and never our 413. The server's ReadTimeout bounds the
// time.
const drained = 8 << 20

// ReadBody reads a body of at most limit bytes; a longer one is
// news.ErrTooLarge.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		if r.ContentLength <= drained {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength) // its fault changes nothing: the answer is 413
		}
		return nil, fmt.Errorf("%w: the body may have at most %d bytes", news.ErrTooLarge, limit)
	case err != nil:
		return nil, news.Invalid("", "the body could not be read to its end")
	}
	return body, nil
}

// DecodeJSON reads exactly one JSON value into dst, with ReadJSON's checks.
func DecodeJSON(body []byte, dst any) error {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return news.Invalid("", "the body is empty; send a JSON object")
	case !utf8.Valid(body):
		return news.Invalid("", "the body is not valid UTF-8")
	}
	if err := checkDepth(body); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(dst); err != nil {
		return jsonFault(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return news.Invalid("", "there is something after the JSON value, at byte %d", dec.InputOffset())
	}
	return nil
}

// checkDepth counts brackets outside strings; it need not understand more.
func checkDepth(body []byte) error {
	depth, inString, escaped := 0, false, false
	for i, c := range body {
		switch {
		case inString:
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return news.Invalid("", "nested deeper than %d levels, at byte %d", maxDepth, i)
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return nil
}

// jsonFault puts encoding/json's errors into our words, with a path where
// there is one.
func jsonFault(err error) error {
	var typed *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &typed):
		return news.Invalid(strings.ReplaceAll(typed.Field, ".", "/"), "must be %s, not %s", kindWord(typed.Type.Kind().String()), typed.Value)
	case errors.As(err, &syntax):
		return news.Invalid("", "is not JSON: %s, at byte %d", syntax.Error(), syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return news.Invalid("", "is not JSON: it ends too early")
	}
	return news.Invalid("", "is not JSON of the right form: %s", err.Error())
}

// kindWord is what JSON calls a Go kind.
func kindWord(kind string) string {
	switch {
	case kind == "bool":
		return "true or false"
	case kind == "string":
		return "a string"
	case kind == "slice", kind == "array":
		return "an array"
	case kind == "map", kind == "struct", kind == "ptr":
		return "an object"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "a whole number"
	}
	return "a number"
}

// WriteJSON answers with v. The error is always nil unless v can't be
// encoded, in which case nothing was written.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := encodeJSON(v)
	if err != nil {
		return fmt.Errorf("web.WriteJSON(%T): %w", v, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the reader has gone away: nobody to tell
	return nil
}

func encodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // served as JSON with nosniff
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// writeJSON writes a value whose type can be encoded.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := encodeJSON(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
