// Package internal_test keeps the house standing: who may import whom, how
// long a function or a file may be, and that every package says what it is.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "dateline/"

// house is the plan: for each package its level and the packages of ours it
// may import, floor first. A package that is absent here may not exist; an
// import that is absent here may not be written. A new package needs a row and
// a reason.
var house = []struct {
	name  string
	level int
	may   []string
}{
	{"templates", 0, nil},
	{"migrations", 0, nil},
	{"internal/news", 0, nil},
	{"internal/region", 0, []string{"internal/news"}},
	{"internal/link", 0, []string{"internal/news"}},
	// HTTP/2 for many small requests: it knows nothing of pushes.
	{"internal/push/h2", 0, nil},
	// Both the audience and the keys armed for it are too large for the heap.
	{"internal/arena", 0, nil},
	// The generator of region's data runs by hand and ships nowhere.
	{"internal/region/gen", 0, nil},

	// The desk folds tellings of one event together, and a digest has room for one.
	{"internal/telling", 1, []string{"internal/news", "internal/region"}},
	{"internal/audience", 1, []string{"internal/news", "internal/region", "internal/arena"}},
	{"internal/push", 1, []string{"internal/news", "internal/push/h2", "internal/arena"}},
	{"internal/email", 1, []string{"internal/news", "internal/region"}},
	{"internal/store", 1, []string{"internal/news", "migrations"}},
	{"internal/bus", 1, []string{"internal/news"}},
	{"internal/web", 1, []string{"internal/news"}},
	{"internal/simulate", 1, []string{"internal/news"}},

	{"internal/intake", 2, []string{"internal/news", "internal/region", "internal/web"}},
	{"internal/desk", 2, []string{"internal/news", "internal/region", "internal/telling", "internal/push", "internal/web"}},
	{"internal/site", 2, []string{"internal/news", "internal/region", "internal/link", "internal/push", "internal/email", "internal/web"}},
	{"internal/dispatch", 2, []string{"internal/news", "internal/region", "internal/link", "internal/audience", "internal/push"}},
	{"internal/digest", 2, []string{"internal/news", "internal/region", "internal/telling", "internal/link", "internal/email", "internal/web"}},

	// What comes back is judged by the table that answers are judged by: the
	// email package's, so this one stands above it.
	{"internal/email/bounce", 2, []string{"internal/news", "internal/email"}},

	// Test support: imported by tests only.
	{"internal/store/storetest", 2, []string{"internal/news", "internal/store"}},
	{"internal/browsertest", 2, []string{"internal/news", "internal/push"}},
	// It judges bytes, with nothing of what made them.
	{"internal/mailtest", 2, nil},

	// Parts of the demo: the newsroom's day is data, the showcase two pages.
	{"internal/app/newsroom", 0, nil},
	{"internal/app/showcase", 2, []string{"internal/news", "internal/region", "internal/simulate", "internal/web"}},

	{"internal/app", 3, []string{"internal/news", "internal/region", "internal/link", "internal/audience", "internal/push",
		"internal/email", "internal/store", "internal/bus", "internal/web", "internal/simulate", "internal/intake",
		"internal/desk", "internal/site", "internal/dispatch", "internal/digest", "internal/app/newsroom",
		"internal/app/showcase", "templates", "migrations", "internal/email/bounce"}},
	{"cmd/dateline", 4, []string{"internal/app", "internal/news"}},
}

// support are the packages that only tests may import; they alone may import
// package testing.
var support = []string{"internal/store/storetest", "internal/browsertest", "internal/mailtest"}

// source is one parsed Go file.
type source struct {
	path, dir string
	test      bool
	fset      *token.FileSet
	file      *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		rel, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(rel), filepath.ToSlash(filepath.Dir(rel)), strings.HasSuffix(path, "_test.go"), fset, file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHouse(t *testing.T) {
	levels, may := map[string]int{}, map[string][]string{}
	for _, room := range house {
		levels[room.name], may[room.name] = room.level, room.may
		for _, other := range room.may {
			if l, known := levels[other]; !known || l > room.level || l == room.level && l > 0 {
				t.Errorf("the plan lets %s (level %d) import %s (level %d): data walks one way", room.name, room.level, other, l)
			}
		}
	}
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		seen[s.dir] = true
		allowed, planned := may[s.dir]
		if !planned {
			t.Errorf("%s: package %s is not in the plan of the house", s.path, s.dir)
			continue
		}
		for _, spec := range s.file.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			if imp == "testing" && !slices.Contains(support, s.dir) {
				t.Errorf("%s: imports testing outside test support", s.path)
			}
			if own, ok := strings.CutPrefix(imp, module); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s: %s may not import %s", s.path, s.dir, own)
			}
		}
	}
	for dir := range may {
		if !seen[dir] {
			t.Errorf("%s is in the plan but has no code", dir)
		}
	}
}

// TestSizes holds functions to 80 lines and files to 500. One that is longer
// says why in a comment that contains "long because".
func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || ast.IsGenerated(s.file) {
			continue
		}
		if lines := s.fset.File(s.file.Pos()).LineCount(); lines > 500 && !explained(s.file.Doc) {
			t.Errorf("%s has %d lines; split it by subject", s.path, lines)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if lines > 80 && !explained(f.Doc) {
				t.Errorf("%s: %s has %d lines", s.path, f.Name.Name, lines)
			}
		}
	}
}

func explained(doc *ast.CommentGroup) bool {
	return doc != nil && strings.Contains(doc.Text(), "long because")
}

// TestEveryPackageSaysWhatItIs wants a package comment in one file of each.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said, all := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		all[s.dir] = true
		said[s.dir] = said[s.dir] || s.file.Doc != nil && len(s.file.Doc.Text()) > 40
	}
	for dir := range all {
		if !said[dir] {
			t.Errorf("package %s has no comment that says what it is for and what it promises", dir)
		}
	}
}

// TestOnlyMainExits: os.Exit and log.Fatal leave deferred work undone.
func TestOnlyMainExits(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "cmd/dateline" || s.dir == "internal/region/gen" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := call.X.(*ast.Ident); ok && (pkg.Name == "os" && call.Sel.Name == "Exit" && !s.test ||
				pkg.Name == "log" && strings.HasPrefix(call.Sel.Name, "Fatal")) {
				t.Errorf("%s: only main exits", s.fset.Position(call.Pos()))
			}
			return true
		})
	}
}
