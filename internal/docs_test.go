package internal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/app"
	"dateline/internal/email"
)

// documents are all pages for people, by their path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, pattern := range []string{"../*.md", "../docs/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			pages[strings.TrimPrefix(path, "../")] = readFile(t, path)
		}
	}
	return pages
}

// TestDocsVariables: the manual's table is the program's list, in its order.
func TestDocsVariables(t *testing.T) {
	page := documents(t)["docs/operating.md"]
	_, rest, ok := strings.Cut(page, "<!-- variables:")
	table, _, ok2 := strings.Cut(rest, "<!-- end of variables -->")
	if !ok || !ok2 {
		t.Fatal("docs/operating.md has no table of variables between its marks")
	}
	var documented, known []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)`( †)? \\|").FindAllStringSubmatch(table, -1) {
		documented = append(documented, row[1]+row[2])
	}
	for _, v := range app.Variables() {
		name := v.Name
		if v.Secret {
			name += " †"
		}
		known = append(known, name)
	}
	if diff := cmp.Diff(known, documented); diff != "" {
		t.Errorf("the program's variables (-) and the manual's (+):\n%s", diff)
	}
}

// TestDocsMentions: no page names a variable that does not exist.
// TestDocsProviders: the manual's table is the program's.
func TestDocsProviders(t *testing.T) {
	_, rest, found := strings.Cut(documents(t)["docs/operating.md"], "<!-- providers -->\n")
	table, _, ended := strings.Cut(rest, "<!-- end of providers -->")
	if !found || !ended {
		t.Fatal("docs/operating.md has no table of providers between its marks")
	}
	want := ""
	for _, p := range email.Providers() {
		pace := "no limit"
		if p.PerMinute > 0 {
			pace = strconv.Itoa(p.PerMinute)
		}
		want += fmt.Sprintf("| %s | %d | %s | %d |\n", p.Label, p.Connections, pace, p.WarmUp)
	}
	if table != want {
		t.Errorf("the table of providers should be\n%s", want)
	}
}

func TestDocsMentions(t *testing.T) {
	names := known()
	for path, text := range documents(t) {
		for _, name := range regexp.MustCompile(`\b(DATELINE_[A-Z_]*[A-Z]|[A-Z]+_URL)(_FILE)?\b`).FindAllString(text, -1) {
			if !names[name] {
				t.Errorf("%s names %s, which the program does not know", path, name)
			}
		}
	}
}

// TestDocsLinks: links between the pages lead somewhere.
func TestDocsLinks(t *testing.T) {
	for path, text := range documents(t) {
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(path), link[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestDocsPackages: the architecture names every package, and no other.
func TestDocsPackages(t *testing.T) {
	text := documents(t)["docs/architecture.md"]
	var named, there []string
	for _, m := range regexp.MustCompile("`internal/(\\w+)`").FindAllStringSubmatch(text, -1) {
		named = append(named, m[1])
	}
	found, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range found {
		if entry.IsDir() {
			there = append(there, entry.Name())
		}
	}
	slices.Sort(named)
	if diff := cmp.Diff(there, slices.Compact(named)); diff != "" {
		t.Errorf("packages (-) and those that docs/architecture.md names (+):\n%s", diff)
	}
}

// TestLintVersion: .ci/run installs the linter that the settings are for.
func TestLintVersion(t *testing.T) {
	version := regexp.MustCompile(`(?m)^lint_version=(\S+)$`)
	m := version.FindStringSubmatch(readFile(t, "../.ci/lib.sh"))
	if m == nil || !strings.Contains(readFile(t, "../.golangci.yml"), "golangci-lint "+m[1]+" ") {
		t.Errorf(".ci/lib.sh installs %q; .golangci.yml is for another one", m)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
