package email

import (
	"html/template"

	"golang.org/x/text/language"
)

// Face is how a script is set in a mail: system fonts, a serif for headlines,
// and the line height that the script needs.
type Face struct {
	Serif template.CSS
	Sans  template.CSS
	Head  template.CSS // line height of headlines
	Line  template.CSS // line height of text
}

// FaceOf picks the face for a language (BCP 47). Latin text is set tight;
// Chinese, Japanese, Korean, Thai and Devanagari need air, and Nastaliq, in
// which Urdu is written, twice its size.
func FaceOf(lang string) Face {
	const serif, sans = "Georgia,'Times New Roman',serif", "-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
	f := Face{Serif: serif, Sans: sans, Head: "1.25", Line: "1.5"}
	tag, err := language.Parse(lang)
	if err != nil {
		return f
	}
	base, _ := tag.Base()
	script, _ := tag.Script()
	switch script.String() {
	case "Jpan":
		f = Face{"'Hiragino Mincho ProN','Yu Mincho','Noto Serif CJK JP',serif", "'Hiragino Sans','Yu Gothic','Noto Sans CJK JP',sans-serif", "1.45", "1.75"}
	case "Hans":
		f = Face{"'Songti SC','Noto Serif CJK SC',SimSun,serif", "'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif", "1.45", "1.75"}
	case "Hant":
		f = Face{"'Songti TC','Noto Serif CJK TC',PMingLiU,serif", "'PingFang TC','Microsoft JhengHei','Noto Sans CJK TC',sans-serif", "1.45", "1.75"}
	case "Kore":
		f = Face{"AppleMyungjo,Batang,'Noto Serif CJK KR',serif", "'Apple SD Gothic Neo','Malgun Gothic','Noto Sans CJK KR',sans-serif", "1.4", "1.7"}
	case "Deva":
		f = Face{"'Kohinoor Devanagari','Noto Serif Devanagari',serif", "'Kohinoor Devanagari','Nirmala UI','Noto Sans Devanagari',sans-serif", "1.45", "1.65"}
	case "Thai":
		f = Face{"Thonburi,'Noto Serif Thai','Leelawadee UI',serif", "Thonburi,'Leelawadee UI','Noto Sans Thai',sans-serif", "1.5", "1.7"}
	case "Arab":
		f = Face{"'Geeza Pro','Noto Naskh Arabic','Times New Roman',serif", "'Geeza Pro','Segoe UI','Noto Sans Arabic',Tahoma,sans-serif", "1.55", "1.8"}
	}
	if base.String() == "ur" {
		f = Face{"'Noto Nastaliq Urdu','Urdu Typesetting','Geeza Pro',serif", "'Noto Nastaliq Urdu','Urdu Typesetting','Geeza Pro',serif", "1.9", "2.1"}
	}
	return f
}
