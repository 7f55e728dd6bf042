package news_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	line := rapid.Map(rapid.String(), news.CleanLine)
	rapid.Check(t, func(t *rapid.T) {
		a := news.Alert{Level: news.LevelFlash, Audience: "ASEAN + TW", Language: "en", Texts: rapid.MapOfN(rapid.SampledFrom([]string{"en", "ja", "zh-Hant"}),
			rapid.Custom(func(t *rapid.T) news.Text { return news.Text{Title: line.Draw(t, "title"), Body: line.Draw(t, "body")} }), 1, 3).Draw(t, "texts")}
		step := rapid.SampledFrom([]string{"draft", "edit", "correct", "kill", "approve", "release", "hold"}).Draw(t, "step")
		want := news.RecordOf(step, rapid.String().Draw(t, "why"), &a, nil)
		if diff := cmp.Diff(want, news.ReadRecord(want.String())); diff != "" {
			t.Errorf("-written +read:\n%s", diff)
		}
		if told := step == "draft" || step == "edit" || step == "correct"; (len(want.Words) > 0) != told || want.Hash != a.Hash() {
			t.Errorf("%s records %+v", step, want)
		}
	})
}

func TestARecordTellsWhatWasSent(t *testing.T) {
	a := news.Alert{Level: news.LevelFlash, Audience: "JP", Language: "en", Texts: map[string]news.Text{"en": {Title: "Quake"}}}
	kill := news.RecordOf("kill", "wrong\nplace", &a, &news.Release{Texts: map[string]news.Text{"en": {Title: "Retracted"}}})
	if kill.Why != "wrong place" || kill.To != "flash JP" || kill.Words["en"].Title != "Retracted" {
		t.Errorf("%+v", kill)
	}
	if old := news.ReadRecord("a reason\nof two lines"); old.Why != "a reason\nof two lines" || old.Hash != "" {
		t.Errorf("an older line: %+v", old)
	}
}
