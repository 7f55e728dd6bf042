package web

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// ErrorView is what the page "site/error" is rendered with.
type ErrorView struct {
	Status int
	Title  string
	Text   string
	Front  string // the words of the link to the front page
	Home   string // its path; "" is "/"
	Lang   string
	Dir    string
}

// SpeakErrors lets view word the error pages, in the language of whoever asks.
// Without it they are in English. To be called before anything is served.
func (f *Floor) SpeakErrors(view func(r *http.Request, status int) ErrorView) { f.errorView = view }

// errorWords are the sentences of the error pages where nobody words them
// better. Statuses without one are shown as 500.
func errorWords() map[int][2]string {
	return map[int][2]string{
		http.StatusBadRequest:            {"That did not work", "Something in what was sent could not be understood. Please go back and check it."},
		http.StatusUnauthorized:          {"Please identify yourself", "This page needs a key or a link of your own."},
		http.StatusForbidden:             {"Not allowed", "This can't be done from here. If you pressed a button on our own page, please reload it and try again."},
		http.StatusNotFound:              {"Nothing here", "This page does not exist, or the link is incomplete. Links in mails sometimes break at the end of a line: try to copy all of it."},
		http.StatusMethodNotAllowed:      {"Not here", "This page can't be used that way."},
		http.StatusConflict:              {"Too late", "This has changed in the meantime. Please look again."},
		http.StatusGone:                  {"This link has expired", "For your safety links do not last for ever. You can ask for a new one."},
		http.StatusRequestEntityTooLarge: {"Too much at once", "What was sent is too large."},
		http.StatusUnprocessableEntity:   {"That did not work", "What was asked for can't be done."},
		http.StatusTooManyRequests:       {"One moment, please", "There were too many requests from your network. Please try again later."},
		http.StatusInternalServerError:   {"Our mistake", "Something went wrong on our side. Please try again in a moment."},
		http.StatusServiceUnavailable:    {"Back in a moment", "A part of this site is not reachable right now. Please try again in a minute."},
	}
}

// plainError is the error page where Templates has none.
const plainError = `<!doctype html><html lang="{{.Lang}}" dir="{{.Dir}}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
	`<title>{{.Title}}</title><h1>{{.Title}}</h1><p>{{.Text}}</p></html>`

// load parses the pages of every folder and renders the error pages.
func (f *Floor) load() error {
	f.pages = map[string]*template.Template{}
	f.errors = map[int][]byte{}
	if f.config.Templates != nil {
		var err error
		if f.assets, err = loadAssets(f.config.Templates); err != nil {
			return err
		}
		if err := f.parsePages(); err != nil {
			return err
		}
	}
	return f.renderErrors()
}

func (f *Floor) funcs() template.FuncMap {
	all := template.FuncMap{
		"asset":   f.assets.url,
		"baseURL": f.BaseURL,
		"desk":    func() string { return cmp.Or(f.config.Desk, DeskPath) },
		"drill":   f.drill,
	}
	for name, fn := range f.config.Funcs {
		all[name] = fn
	}
	return all
}

func (f *Floor) drill() Drill {
	if f.config.Drill == nil {
		return Drill{}
	}
	return f.config.Drill()
}

func (f *Floor) parsePages() error {
	layouts, err := fs.Glob(f.config.Templates, "*/layout.html")
	if err != nil {
		return err
	}
	for _, layout := range layouts {
		dir := path.Dir(layout)
		base, err := template.New("layout.html").Funcs(f.funcs()).Option("missingkey=error").ParseFS(f.config.Templates, layout)
		if err != nil {
			return err
		}
		files, err := fs.Glob(f.config.Templates, dir+"/*.html")
		if err != nil {
			return err
		}
		if err := f.parseFolder(dir, base, files); err != nil {
			return err
		}
	}
	return nil
}

func (f *Floor) parseFolder(dir string, base *template.Template, files []string) error {
	for _, file := range files {
		if !strings.HasPrefix(path.Base(file), "_") {
			continue
		}
		if _, err := base.ParseFS(f.config.Templates, file); err != nil {
			return err
		}
	}
	for _, file := range files {
		name := path.Base(file)
		if name == "layout.html" || strings.HasPrefix(name, "_") {
			continue
		}
		page, err := base.Clone()
		if err != nil {
			return err
		}
		if _, err := page.ParseFS(f.config.Templates, file); err != nil {
			return err
		}
		f.pages[dir+"/"+strings.TrimSuffix(name, ".html")] = page
	}
	return nil
}

// renderErrors renders every error page once, so that a broken one is found at
// the start.
func (f *Floor) renderErrors() error {
	page, ok := f.pages["site/error"]
	if !ok {
		page = template.Must(template.New("layout.html").Parse(plainError))
	}
	f.errorPage = page
	front := "Go to the front page"
	if f.config.Front == cmp.Or(f.config.Desk, DeskPath) {
		front = "Go to the desk"
	}
	for status, words := range errorWords() {
		var buf bytes.Buffer
		if err := page.Execute(&buf, ErrorView{Status: status, Title: words[0], Text: words[1],
			Front: front, Home: f.config.Front, Lang: "en", Dir: "ltr"}); err != nil {
			return fmt.Errorf("error page %d: %w", status, err)
		}
		f.errors[status] = buf.Bytes()
	}
	return nil
}

// errorBody is the page for an error.
func (f *Floor) errorBody(r *http.Request, status int) []byte {
	if f.errorView != nil {
		var buf bytes.Buffer
		if err := f.errorPage.Execute(&buf, f.errorView(r, status)); err == nil { // it was executed at the start
			return buf.Bytes()
		}
	}
	if body, ok := f.errors[status]; ok {
		return body
	}
	return f.errors[http.StatusInternalServerError]
}

// Pages names every page there is, for tests that execute each.
func (f *Floor) Pages() []string {
	names := make([]string, 0, len(f.pages))
	for name := range f.pages {
		names = append(names, name)
	}
	return names
}

// Part executes one named block of a page, for what a live page is sent.
func (f *Floor) Part(name, part string, data any) (string, error) {
	page, ok := f.pages[name]
	if !ok {
		return "", fmt.Errorf("web.Part(%s): there is no such page", name)
	}
	var buf strings.Builder
	if err := page.ExecuteTemplate(&buf, part, data); err != nil {
		return "", fmt.Errorf("web.Part(%s, %s): %w", name, part, err)
	}
	return buf.String(), nil
}

// Render executes the page into a buffer and writes it when it is whole. A
// page's Cache-Control is no-cache unless the handler has set another.
func (f *Floor) Render(w http.ResponseWriter, status int, name string, data any) error {
	page, ok := f.pages[name]
	if !ok {
		return fmt.Errorf("web.Render(%s): there is no such page", name)
	}
	var buf bytes.Buffer
	if err := page.Execute(&buf, data); err != nil {
		return fmt.Errorf("web.Render(%s): %w", name, err)
	}
	f.Send(w, status, "text/html; charset=utf-8", buf.Bytes())
	return nil
}
