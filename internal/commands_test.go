package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// manual is the command line as its source declares it: the structs that the
// flag parser reads.
type manual struct {
	commands map[string]map[string]bool // command -> its own commands
	flags    map[string]bool
}

func readManual(t *testing.T) manual {
	t.Helper()
	structs := commandStructs(t)
	m := manual{commands: map[string]map[string]bool{}, flags: map[string]bool{"help": true}}
	for name, s := range structs {
		m.collectFlags(s)
		if name == "commandLine" {
			for command, of := range subcommands(s) {
				m.commands[command] = map[string]bool{}
				if structs[of] != nil {
					for sub := range subcommands(structs[of]) {
						m.commands[command][sub] = true
					}
				}
			}
		}
	}
	return m
}

// commandStructs are the structs of the command's source.
func commandStructs(t *testing.T) map[string]*ast.StructType {
	t.Helper()
	structs := map[string]*ast.StructType{}
	files, err := filepath.Glob("../cmd/dateline/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no command: %v", err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	return structs
}

// subcommands are the fields of a command that are commands, with their types.
func subcommands(s *ast.StructType) map[string]string {
	found := map[string]string{}
	for _, f := range s.Fields.List {
		if _, isCommand := tagOf(f).Lookup("cmd"); !isCommand || len(f.Names) != 1 {
			continue
		}
		if of, ok := f.Type.(*ast.Ident); ok {
			found[strings.ToLower(f.Names[0].Name)] = of.Name
		}
	}
	return found
}

func (m manual) collectFlags(s *ast.StructType) {
	for _, f := range s.Fields.List {
		tag := tagOf(f)
		if _, isFlag := tag.Lookup("help"); !isFlag || len(f.Names) != 1 {
			continue
		}
		name := tag.Get("name")
		if name == "" { // as the parser names it: OpsListen is --ops-listen
			name = strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(f.Names[0].Name, "$1-$2"))
		}
		m.flags[name] = true
	}
}

func tagOf(f *ast.Field) reflect.StructTag {
	if f.Tag == nil {
		return ""
	}
	text, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return ""
	}
	return reflect.StructTag(text)
}

// TestDocsCommands: every command and flag that a page names exists.
func TestDocsCommands(t *testing.T) {
	m := readManual(t)
	t.Logf("commands: %v", slices.Sorted(maps.Keys(m.commands)))
	seen := map[string]bool{}
	for path, text := range documents(t) {
		for _, line := range codeIn(text) {
			_, call, ok := strings.Cut(line, "dateline ")
			if !ok || strings.Contains(line, "docker ") || strings.Contains(line, "go build") || strings.Contains(line, "cmd/dateline  ") {
				continue
			}
			for part := range strings.SplitSeq(call, "|") {
				m.check(t, path, strings.Fields(part), seen)
			}
		}
	}
	for command := range m.commands {
		if !seen[command] {
			t.Errorf("no page names the command %s", command)
		}
	}
}

// check holds one call, without the program's name, against the manual.
func (m manual) check(t *testing.T, path string, words []string, seen map[string]bool) {
	t.Helper()
	if len(words) == 0 || !regexp.MustCompile(`^[a-z]+$`).MatchString(words[0]) {
		return
	}
	subs, ok := m.commands[words[0]]
	if !ok {
		t.Errorf("%s names the command %q, which does not exist", path, words[0])
		return
	}
	seen[words[0]] = true
	if len(subs) > 0 && len(words) > 1 {
		for sub := range strings.SplitSeq(words[1], "/") {
			if !subs[sub] {
				t.Errorf("%s names %q of the command %s, which does not exist", path, sub, words[0])
			}
		}
	}
	for _, w := range words {
		if flag, ok := strings.CutPrefix(w, "--"); ok && !m.flags[flag] {
			t.Errorf("%s names the flag --%s, which does not exist", path, flag)
		}
	}
}

// TestDocsBenches: the page about speed has a section on each bench that names all
// its flags.
func TestDocsBenches(t *testing.T) {
	structs := commandStructs(t)
	page := documents(t)["docs/performance.md"]
	benches := subcommands(structs["benchCommand"])
	delete(benches, "services") // started by the others
	if len(benches) < 5 {
		t.Errorf("only %d benches: %v", len(benches), benches)
	}
	for bench, of := range benches {
		_, section, ok := strings.Cut(page, "\n## `dateline bench "+bench+"`")
		if !ok {
			t.Errorf("docs/performance.md has no section on bench %s", bench)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		m := manual{flags: map[string]bool{}}
		m.collectFlags(structs[of])
		for flag := range m.flags {
			if !regexp.MustCompile("--" + flag + "\\b").MatchString(section) {
				t.Errorf("docs/performance.md says nothing of --%s of bench %s", flag, bench)
			}
		}
	}
}

// codeIn is what a page sets as code: spans between backquotes and indented or
// fenced lines.
func codeIn(page string) []string {
	var found []string
	fenced := false
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "    "):
			code, _, _ := strings.Cut(line, "#")
			found = append(found, strings.TrimSpace(code))
		default:
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
				found = append(found, m[1])
			}
		}
	}
	return found
}

// TestDocsMetrics: the manual explains every metric of ours, and no other.
func TestDocsMetrics(t *testing.T) {
	source := readFile(t, "../internal/app/metrics.go")
	var there, explained []string
	for _, m := range regexp.MustCompile(`(?:desc\("|Name: "dateline_)(\w+)"`).FindAllStringSubmatch(source, -1) {
		there = append(there, "dateline_"+m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(dateline_\\w+)").FindAllStringSubmatch(documents(t)["docs/operating.md"], -1) {
		explained = append(explained, m[1])
	}
	slices.Sort(there)
	slices.Sort(explained)
	if len(there) == 0 || !slices.Equal(there, explained) {
		t.Errorf("the program has the metrics\n  %v\ndocs/operating.md explains\n  %v", there, explained)
	}
}
