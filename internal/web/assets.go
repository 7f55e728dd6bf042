package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"dateline/internal/news"
)

// asset is one static file with its content hash.
type asset struct {
	body   []byte
	zipped []byte // nil: it does not get smaller
	hash   string
	kind   string
}

// assets are the files of every "folder/static/", served as
// /static/folder/name. All are in memory: they are few and small.
type assets struct{ files map[string]asset }

func loadAssets(fsys fs.FS) (*assets, error) {
	a := &assets{files: map[string]asset{}}
	names, err := fs.Glob(fsys, "*/static/*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		dir := path.Dir(path.Dir(name))
		a.files[dir+"/"+path.Base(name)] = asset{body: body, zipped: zip(body), hash: hex.EncodeToString(sum[:6]), kind: contentType(name)}
	}
	return a, nil
}

// contentType does not ask the machine's mime.types, which differs from one
// to the next.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".webmanifest":
		return "application/manifest+json"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func zip(body []byte) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(body); err != nil {
		return nil
	}
	if w.Close() != nil || buf.Len() >= len(body) {
		return nil
	}
	return buf.Bytes()
}

// url is the address of a static file, with its hash: it may be cached for
// ever, and a changed file has another address.
func (a *assets) url(name string) (string, error) {
	if a == nil {
		return "", fmt.Errorf("asset %s: there are no assets", name)
	}
	file, ok := a.files[name]
	if !ok {
		return "", fmt.Errorf("asset %s: there is no such file", name)
	}
	return "/static/" + name + "?v=" + file.hash, nil
}

// Static serves the static files; mount it at "GET /static/".
func (f *Floor) Static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/static/")
		var file asset
		ok := f.assets != nil
		if ok {
			file, ok = f.assets.files[name]
		}
		if !ok {
			f.answerPage(w, r, fmt.Errorf("%w: there is no such file", news.ErrNotFound))
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		if r.URL.Query().Get("v") == file.hash {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		file.serve(w, r)
	})
}

func (file asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("ETag", `"`+file.hash+`"`)
	h.Add("Vary", "Accept-Encoding")
	body := file.body
	if file.zipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", `"`+file.hash+`-gz"`)
		body = file.zipped
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// Asset answers with one static file under another address, such as /sw.js.
// Its bytes are passed through change first (nil: as they are).
func (f *Floor) Asset(name string, change func([]byte) []byte) (http.Handler, error) {
	if _, err := f.assets.url(name); err != nil {
		return nil, fmt.Errorf("web.Asset: %w", err)
	}
	file := f.assets.files[name]
	if change != nil {
		file.body = change(file.body)
		sum := sha256.Sum256(file.body)
		file.hash, file.zipped = hex.EncodeToString(sum[:6]), zip(file.body)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		file.serve(w, r)
	}), nil
}
