package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeCLDR lays out a small CLDR as npm unpacks it.
func writeCLDR(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func smallCLDR() map[string]string {
	files := map[string]string{
		"cldr-core/package.json":              `{"version":"48.2.0"}`,
		"cldr-subdivisions-full/package.json": `{"version":"48.2.0"}`,
		"cldr-localenames-full/package.json":  `{"version":"48.2.0"}`,
		"cldr-core/supplemental/territoryContainment.json": `{"supplemental":{"territoryContainment":{
			"001":{"_contains":["142"]},"001-status-grouping":{"_contains":["EU","UN"]},"EU":{"_contains":["FR"],"_grouping":"true"},
			"142":{"_contains":["030"]},"142-status-deprecated":{"_contains":["NT"]},
			"030":{"_contains":["JP","CN","HK","AC"]},"003":{"_contains":["030"],"_grouping":"true"}}}}`,
		"cldr-core/supplemental/subdivisionContainment.json": `{"supplemental":{"subdivisionContainment":{
			"JP":{"_contains":["jp27","jp13"]},"CN":{"_contains":["cnhk","cnnm","cnbj"]}}}}`,
		"cldr-subdivisions-full/subdivisions/en/en.json": `{"subdivisions":{"localeDisplayNames":{"subdivisions":{
			"jp13":"Tokyo²","jp27":"Ōsaka","cnbj":"Beijing","cnold":"An obsolete one"}}}}`,
	}
	for _, l := range languages {
		files["cldr-localenames-full/main/"+l+"/territories.json"] = `{"main":{"` + l + `":{"localeDisplayNames":{"territories":{"HK":"Long name","HK-alt-short":"Name in ` + l + `"}}}}}`
	}
	return files
}

func TestGenerate(t *testing.T) {
	from, to := writeCLDR(t, smallCLDR()), t.TempDir()
	var progress bytes.Buffer
	if err := run([]string{"-from", from, "-to", to}, &progress); err != nil {
		t.Fatal(err)
	}
	places := read(t, to, "places.txt")
	_, places, _ = strings.Cut(places, "\n") // the comment
	want := "001\n\t142\n\t\t030\n\t\t\tCN\n\t\t\t\tCN-BJ Beijing\n\t\t\t\tCN-NM Inner Mongolia\n\t\t\tHK\n\t\t\tJP\n" +
		"\t\t\t\tJP-13 Tokyo\n\t\t\t\tJP-27 Osaka\n\tAQ\n=CN-HK HK\n"
	if places != want {
		t.Errorf("places.txt:\n%s\nwant:\n%s", places, want)
	}
	if names := read(t, to, "names.tsv"); !strings.Contains(names, "\nja\tHK\tName in ja\n") || strings.Contains(names, "Long") {
		t.Errorf("names.tsv:\n%s", names)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestGenerateErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		change map[string]string
		want   string
	}{
		"another version": {map[string]string{"cldr-core/package.json": `{"version":"49.0.0"}`}, "cldr-core is version 49.0.0, want 48.2.0"},
		"no name": {map[string]string{"cldr-core/supplemental/subdivisionContainment.json": `{"supplemental":{"subdivisionContainment":{
			"JP":{"_contains":["jp99"]}}}}`}, "subdivision JP-99 has no English name"},
		"not JSON": {map[string]string{"cldr-core/supplemental/territoryContainment.json": `<`}, "decode"},
	} {
		files := smallCLDR()
		for f, text := range tt.change {
			files[f] = text
		}
		err := run([]string{"-from", writeCLDR(t, files), "-to", t.TempDir()}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if err := run(nil, &bytes.Buffer{}); err == nil {
		t.Error("no -from: no error")
	}
}
