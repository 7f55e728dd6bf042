package main

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// namesVersion is the last release of CLDR whose names of subdivisions in other
// languages than English Debian packages (unicode-cldr-core). CLDR took them
// from Wikidata; what is wrong among them is in subdivision-names.txt.
const namesVersion = "41"

//go:embed subdivision-names.txt
var handText string

// tongue is a language of the names: the file it is in, the scripts that a name
// may be written in, and words such as "province" that stand before or after
// some names of a country and not before others.
type tongue struct {
	lang, file, opencc string
	scripts            []*unicode.RangeTable
	before, after      []string
	// alone are words that are no name without the word for province.
	alone []string
}

func tongues() []tongue {
	han, latin, arabic := []*unicode.RangeTable{unicode.Han}, []*unicode.RangeTable{unicode.Latin}, []*unicode.RangeTable{unicode.Arabic}
	return []tongue{
		{lang: "ja", file: "ja", scripts: []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana}},
		{lang: "zh-Hans", file: "zh", opencc: "t2s", scripts: han},
		{lang: "zh-Hant", file: "zh", opencc: "s2tw", scripts: han},
		{lang: "ko", file: "ko", scripts: []*unicode.RangeTable{unicode.Hangul}},
		{lang: "hi", file: "hi", scripts: []*unicode.RangeTable{unicode.Devanagari},
			after: []string{" प्रीफ़ेक्चर", " प्रीफ़ेक्चर", " प्रीफेक्चर", " प्रान्त", " प्रांत", " प्रोविंस", " प्रभाग", " काउंटी", " गवर्नरेट", " नगरपालिका", " नगर पालिका",
				" मुहाफ़ज़ाह", " मुहाफ़ज़ाह", " अमीरात", " मण्डल", " राज्य", " जिला", " ज़िला", " जिली"},
			alone: []string{"मध्य", "पूर्वी", "पश्चिमी", "उत्तरी", "दक्षिणी", "उत्तर", "दक्षिण", "उत्तर पश्चिमी", "उत्तरी मध्य"}},
		{lang: "id", file: "id", scripts: latin,
			before: []string{"Provinsi ", "Prefektur ", "Kegubernuran ", "Region ", "Distrik ", "Kabupaten ", "Kota ", "Negara Bagian ", "Kotamadya "},
			after:  []string{" Governorate", " State", " Emirate"},
			alone:  []string{"Barat", "Tengah", "Selatan", "Utara", "Timur", "Barat Laut", "Utara Tengah", "Pegunungan", "Ibu Kota"}},
		{lang: "th", file: "th", scripts: []*unicode.RangeTable{unicode.Thai},
			before: []string{"จังหวัด", "มณฑล", "รัฐ", "แคว้น", "เขตการปกครอง", "เขตผู้ว่า", "แขวง", "เมืองหลวง", "เมือง", "เขต"},
			after:  []string{" โกเวอโนเรท", " กอฟเวอโนเลท", " กอฟเวอโนเลต", " เกอเวอโนเลต", " โกเวอโนเนท", " กอเวอโนเรท", " มูนิซิพัลลิตี้", " มูนิพิซิพัลลิตี้"},
			alone:  []string{"หลวง", "ปกครองตนเอง", "กลาง", "เหนือ", "ใต้", "เซนทรัล", "ขึ้นตรงต่อสาธารณรัฐ"}},
		{lang: "vi", file: "vi", scripts: latin,
			before: []string{"Tỉnh ", "Huyện ", "Quận ", "Khu vực hành chính ", "Khu vực ", "Vùng ", "Đô thị tự trị "},
			alone:  []string{"Nam", "Bắc", "Trung", "Tây", "Đông", "Tây Bắc", "Trung Bắc", "Trung Tâm", "Phía Bắc", "Phía Đông", "Almaty", "Osh"}},
		{lang: "ar", file: "ar", scripts: arabic,
			before: []string{"محافظة ", "مقاطعة ", "ولاية ", "إمارة ", "امارة ", "منطقة ", "بلدية ", "مديرية ", "إقليم ", "اقليم ", "أوبليس ", "حي "}, after: []string{" أوبلاستي"},
			alone: []string{"كردستان"}},
		{lang: "ur", file: "ur", scripts: arabic,
			before: []string{"صوبہ ", "محافظہ ", "ضلع ", "ریاست ", "بلدیہ "},
			after:  []string{" صوبہ", " پریفیکچر", " پرفکترے", " پراونس", " کاؤنٹی", " ریاست", " علاقہ", " ضلع"},
			alone:  []string{"مغربی", "وسطی", "شمالی", "جنوبی", "مشرقی", "مرکزی", "شمال مغربی", "شمال وسطی"}},
	}
}

// subdivision is one within Asia, as places.txt has it.
type subdivision struct{ code, parent, english string }

// subdivisionsOfAsia reads the tree that was written before.
func subdivisionsOfAsia(places string) []subdivision {
	var all []subdivision
	var path []string
	for line := range strings.Lines(places) {
		text := strings.TrimLeft(strings.TrimSuffix(line, "\n"), "\t")
		depth := len(line) - len(strings.TrimLeft(line, "\t"))
		if text == "" || text[0] == '#' || text[0] == '=' || depth > len(path) {
			continue
		}
		code, name, _ := strings.Cut(text, " ")
		if path = append(path[:depth], code); strings.Contains(code, "-") && slices.Contains(path, "142") {
			all = append(all, subdivision{code, path[depth-1], name})
		}
	}
	return all
}

// localNames is a file of names in one language, by ISO 3166-2 code.
func localNames(path string) (map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	var file struct {
		Names []struct {
			Type string `xml:"type,attr"`
			Name string `xml:",chardata"`
		} `xml:"localeDisplayNames>subdivisions>subdivision"`
	}
	if err := xml.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	names := map[string]string{}
	for _, n := range file.Names {
		names[iso(n.Type)] = n.Name
	}
	return names, nil
}

// writeSubdivisions writes language, code and name for every subdivision of Asia
// whose name is known, from the folder "common" of CLDR's XML.
func writeSubdivisions(common, to string, progress io.Writer) error {
	places, err := os.ReadFile(filepath.Join(to, "places.txt"))
	if err != nil {
		return fmt.Errorf("read places: %w", err)
	}
	all := subdivisionsOfAsia(string(places))
	hand, err := handNames(handText)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Names of Asia's subdivisions, from CLDR %s (Unicode-DFS-2016, see LICENSE-unicode) and gen/subdivision-names.txt. Written by gen; don't edit.\n", namesVersion)
	for _, t := range tongues() {
		raw, err := localNames(filepath.Join(common, "subdivisions", t.file+".xml"))
		if err != nil {
			return err
		}
		names, err := t.names(all, raw, hand)
		if err != nil {
			return err
		}
		for _, s := range all {
			if name := names[s.code]; name != "" {
				fmt.Fprintf(&out, "%s\t%s\t%s\n", t.lang, s.code, name)
			} else {
				fmt.Fprintf(progress, "gen: no name in %s: %s %s\n", t.lang, s.code, s.english)
			}
		}
		fmt.Fprintf(progress, "gen: %d of %d subdivisions of Asia in %s\n", len(names), len(all), t.lang)
	}
	return os.WriteFile(filepath.Join(to, "subdivisions.tsv"), out.Bytes(), 0o644)
}

// handNames reads subdivision-names.txt: by language and code; those of "zh" are
// for both scripts.
func handNames(text string) (map[string]map[string]string, error) {
	hand := map[string]map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), " | ")
		if strings.HasPrefix(line, "#") || fields[0] == "" {
			continue
		}
		for _, field := range fields[1:] {
			lang, name, ok := strings.Cut(field, "=")
			if !ok {
				return nil, fmt.Errorf("subdivision-names.txt: %q", line)
			}
			if hand[lang] == nil {
				hand[lang] = map[string]string{}
			}
			if _, twice := hand[lang][fields[0]]; twice {
				return nil, fmt.Errorf("subdivision-names.txt has %s twice in %s", fields[0], lang)
			}
			hand[lang][fields[0]] = name
		}
	}
	return hand, nil
}

// names are those of a language, by code: cleaned, in its script, without the
// word for province where that makes no two places of a country alike.
func (t tongue) names(all []subdivision, raw map[string]string, hand map[string]map[string]string) (map[string]string, error) {
	long, fixed := map[string]string{}, map[string]bool{}
	for _, s := range all {
		name := cleaned(t.lang, raw[formerly(s.code)])
		if byHand, ok := hand["zh"][s.code]; ok && t.file == "zh" {
			name, fixed[s.code] = byHand, true
		}
		if name != "" {
			long[s.code] = name
		}
	}
	if t.opencc != "" {
		if err := convert(long, t.opencc); err != nil {
			return nil, err
		}
	}
	for code, name := range hand[t.lang] {
		if !slices.ContainsFunc(all, func(s subdivision) bool { return s.code == code }) {
			return nil, fmt.Errorf("subdivision-names.txt: there is no %s in Asia", code)
		}
		long[code], fixed[code] = name, true
	}
	short, seen := map[string]string{}, map[string]int{}
	for code, name := range long {
		short[code] = name
		if !fixed[code] {
			short[code] = t.trimmed(name)
		}
		seen[code[:2]+short[code]]++
	}
	names, siblings := map[string]string{}, map[string]int{}
	for _, s := range all {
		name := short[s.code]
		if seen[s.code[:2]+name] > 1 {
			name = long[s.code]
		}
		if name != "" && t.writes(name) {
			names[s.code] = name
			siblings[s.parent+" "+name]++
		}
	}
	for _, s := range all {
		if siblings[s.parent+" "+names[s.code]] > 1 { // two of one name: neither says which
			delete(names, s.code)
		}
	}
	return names, nil
}

var (
	footnote = regexp.MustCompile(`[¹²³⁴]|\s*[(（][^)）]*[)）]|[,،、].*$|[\x{200b}-\x{200f}]`)
	// Korean writes the word for province, which CLDR 41 sets apart, at the name
	// since the spelling rules of 2017.
	apart = regexp.MustCompile(`^(\S+) (성|현|시|주|도|부|구|섬)$`)
)

// cleaned is a name of CLDR 41 without what Wikidata needs to tell articles
// apart: numbers of footnotes, the country in parentheses or after a comma.
func cleaned(lang, name string) string {
	name = strings.TrimSpace(norm.NFC.String(footnote.ReplaceAllString(name, "")))
	switch lang {
	case "ko":
		return apart.ReplaceAllString(name, "$1$2")
	case "ar": // not Persian's letters
		return strings.NewReplacer("ی", "ي", "ک", "ك").Replace(name)
	case "id", "vi": // macrons are scholars' transcription
		return strings.NewReplacer("ā", "a", "ē", "e", "ī", "i", "ō", "o", "ū", "u", "Ā", "A", "Ō", "O", "‘", "’").Replace(name)
	}
	return name
}

// trimmed is a name without the word for province.
func (t tongue) trimmed(name string) string {
	short := name
	for _, word := range t.before {
		if rest, ok := strings.CutPrefix(short, word); ok {
			short = strings.TrimSpace(rest)
			break
		}
	}
	for _, word := range t.after {
		if rest, ok := strings.CutSuffix(short, word); ok {
			short = strings.TrimSpace(rest)
			break
		}
	}
	if t.lang == "th" && (strings.HasPrefix(short, "ปกครอง") || strings.HasPrefix(short, "บริหาร")) || slices.Contains(t.alone, short) || short == "" {
		return name
	}
	return short
}

// writes reports whether a name is written in the language's letters alone.
func (t tongue) writes(name string) bool {
	for _, r := range name {
		if r != 'ー' && unicode.IsLetter(r) && !unicode.In(r, t.scripts...) {
			return false
		}
	}
	return true
}

// convert puts names into one of the two scripts of Chinese, which zh.xml mixes,
// by Debian's program opencc. It knows words, not foreign names: 里 in 暖武里府
// is a sound and no 裡. The map of mistakes is whole for the names of CLDR 41.
func convert(names map[string]string, config string) error {
	codes := make([]string, 0, len(names))
	for code := range names {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	var in, out, said bytes.Buffer
	for _, code := range codes {
		fmt.Fprintln(&in, names[code])
	}
	opencc := exec.Command("opencc", "-c", config+".json") //nolint:gosec,noctx // one of the two names in tongues; a generator has no context to end by
	opencc.Stdin, opencc.Stdout, opencc.Stderr = &in, &out, &said
	if err := opencc.Run(); err != nil {
		return fmt.Errorf("opencc %s: %w: %s", config, err, said.String())
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(codes) {
		return fmt.Errorf("opencc %s: %d lines for %d names", config, len(lines), len(codes))
	}
	fix := strings.NewReplacer()
	if config == "s2tw" {
		fix = strings.NewReplacer("裡", "里", "幹", "干", "佔", "占", "剋", "克", "託", "托", "巖", "岩", "臺", "台") // 台: as Taiwan's newspapers and x/text write it
	}
	for i, code := range codes {
		names[code] = fix.Replace(lines[i])
	}
	return nil
}
