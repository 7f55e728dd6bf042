package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// leastZipped is the size from which a page is compressed: what fits into one
// packet gets no faster.
const leastZipped = 1400

// pageLevel of gzip: pages are compressed anew each time, and level 9 takes
// three times as long for 2 % less.
const pageLevel = 5

// asked is what a request said about the form it takes an answer in.
type asked struct {
	gzip  bool
	known string // If-None-Match
}

func askedBy(r *http.Request) asked {
	a := asked{gzip: acceptsGzip(r.Header.Get("Accept-Encoding"))}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		a.known = r.Header.Get("If-None-Match")
	}
	return a
}

// acceptsGzip reads RFC 9110 12.5.3 as far as it says gzip: not with q=0.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, given := strings.Cut(strings.ReplaceAll(weight, " ", ""), "=")
		n, err := strconv.ParseFloat(q, 64)
		return !given || err == nil && n > 0
	}
	return false
}

// Send writes a whole page or a part of one: compressed, and not at all where
// the browser has it already. A page that no cache may keep is behind a link
// that is a secret; it goes as it is, since the length of a compressed page
// tells of its secrets to whoever can have a text put beside them (BREACH).
func (f *Floor) Send(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
	}
	rec, ok := w.(*recorder)
	if !ok || strings.Contains(h.Get("Cache-Control"), "no-store") {
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return
	}
	h.Add("Vary", "Accept-Encoding")
	if status == http.StatusOK {
		sum := sha256.Sum256(body)
		tag := `W/"` + hex.EncodeToString(sum[:8]) + `"` // weak: the same page, compressed or not
		h.Set("ETag", tag)
		if rec.asked.known != "" && strings.Contains(rec.asked.known, tag) {
			h.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if rec.asked.gzip && len(body) >= leastZipped {
		h.Set("Content-Encoding", "gzip")
		body = squeezed(body)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

var zippers = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, pageLevel)
	if err != nil { // the level is one of gzip's
		return gzip.NewWriter(nil)
	}
	return w
}}

func squeezed(body []byte) []byte {
	var buf bytes.Buffer
	z, ok := zippers.Get().(*gzip.Writer)
	if !ok {
		return body
	}
	defer zippers.Put(z)
	z.Reset(&buf)
	_, _ = z.Write(body) // a buffer takes all
	_ = z.Close()
	return buf.Bytes()
}
