package main

import (
	"bytes"
	"maps"
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

func TestCleaned(t *testing.T) {
	for _, tt := range []struct{ lang, name, want string }{
		{"ja", "江原道 (北)", "江原道"}, {"ja", "江原道（北）", "江原道"}, {"ko", "산시 성²", "산시성"}, {"ko", "광시 좡족 자치구", "광시 좡족 자치구"},
		{"hi", "उत्तरी प्रान्त, श्रीलंका", "उत्तरी प्रान्त"}, {"ur", "یلن کاؤنٹی، تائیوان", "یلن کاؤنٹی"}, {"ar", "غیلان", "غيلان"},
		{"id", "Provinsi Gīlān", "Provinsi Gilan"}, {"th", "", ""},
	} {
		if got := cleaned(tt.lang, tt.name); got != tt.want {
			t.Errorf("cleaned(%s, %q) = %q, want %q", tt.lang, tt.name, got, tt.want)
		}
	}
}

// TestNamesOfALanguage: by hand before CLDR, under today's codes, without the
// word for province but where it tells two places apart.
func TestNamesOfALanguage(t *testing.T) {
	all := []subdivision{{"LK-1", "LK", "Western"}, {"JP-02", "JP", "Aomori"}, {"KZ-75", "KZ", "Almaty"}, {"KZ-19", "KZ", "Almaty Region"},
		{"IR-23", "IR", "Tehran"}, {"TW-A", "TW", "A"}, {"TW-B", "TW", "B"}, {"JP-03", "JP", "Iwate"}, {"JP-04", "JP", "Miyagi"}}
	raw := map[string]string{"LK-1": "Provinsi Barat", "JP-02": "Prefektur Aomori", "KZ-ALA": "Almaty", "KZ-ALM": "Provinsi Almaty",
		"IR-07": "Provinsi Tehran", "IR-23": "Provinsi Hormozgan", "TW-A": "Same", "TW-B": "Same", "JP-03": "岩手"}
	var indonesian tongue
	for _, tongue := range tongues() {
		if tongue.lang == "id" {
			indonesian = tongue
		}
	}
	got, err := indonesian.names(all, raw, map[string]map[string]string{"id": {"JP-04": "Kota Miyagi"}})
	want := map[string]string{"LK-1": "Provinsi Barat", "JP-02": "Aomori", "KZ-75": "Almaty", "KZ-19": "Provinsi Almaty", "IR-23": "Tehran", "JP-04": "Kota Miyagi"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("names: %v, %v\nwant %v", got, err, want)
	}
	if _, err := indonesian.names(all, raw, map[string]map[string]string{"id": {"XX-1": "Nowhere"}}); err == nil {
		t.Error("a name by hand of an unknown place is taken")
	}
	if _, err := handNames("JP-01 | ja:Hokkaido\n"); err == nil {
		t.Error("a line without = is read")
	}
	if _, err := handNames("JP-01 | ja=A | ja=B\n"); err == nil {
		t.Error("two names by hand for one place are taken")
	}
}

// TestWhatIsKeptByHandIsWritten: a correction that was not followed by go generate
// says one thing here and another on the pages.
func TestWhatIsKeptByHandIsWritten(t *testing.T) {
	hand, err := handNames(handText)
	if err != nil {
		t.Fatal(err)
	}
	written := read(t, "..", "subdivisions.tsv")
	for lang, names := range hand {
		for code, name := range names {
			if line := "\n" + lang + "\t" + code + "\t" + name + "\n"; lang != "zh" && name != "" && !strings.Contains(written, line) {
				t.Errorf("subdivisions.tsv lacks %q", line)
			}
			if lang == "zh" && (!strings.Contains(written, "\nzh-Hans\t"+code+"\t") || !strings.Contains(written, "\nzh-Hant\t"+code+"\t")) {
				t.Errorf("subdivisions.tsv lacks %s in Chinese", code)
			}
		}
	}
	places := read(t, "..", "places.txt")
	for code, name := range correctedSubdivisions {
		if !strings.Contains(places, "\t"+code+" "+name+"\n") {
			t.Errorf("places.txt lacks %s %s", code, name)
		}
	}
	zones := read(t, "..", "zones.tsv")
	for lang, cities := range correctedCities() {
		for zone, city := range cities {
			if line := lang + "\t" + zone + "\t" + city + "\n"; !strings.Contains(zones, line) {
				t.Errorf("zones.tsv lacks %q", line)
			}
		}
	}
}
