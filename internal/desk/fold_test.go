package desk

import (
	"testing"
	"time"

	"dateline/internal/news"
)

// told is a story as an agency tells it.
func told(uri, language, headline, standfirst string, after time.Duration, regions ...string) news.Story {
	return news.Story{URI: uri, Language: language, Headline: headline, Standfirst: standfirst, Regions: regions, StoredAt: noon.Add(after)}
}

// The newest of those that are alike stands on the wire, the others under it.
func TestTheWireFolds(t *testing.T) {
	stories := []news.Story{
		told("newest", "en", "Quake off Hokkaido: tsunami warning issued", "Waves of three metres are possible.", 3*time.Minute, "JP"),
		told("other", "en", "Seoul court adjourns hearing in data case", "The next hearing is in December.", 2*time.Minute, "KR"),
		told("older", "en", "Quake off Hokkaido, tsunami warning is issued", "Waves of three metres are possible.", time.Minute, "JP"),
		told("oldest", "en", "Quake off Hokkaido: tsunami warning", "Waves of three metres possible.", 0, "JP-01"),
	}
	tops, under := fold(stories)
	if len(tops) != 2 || tops[0].URI != "newest" || tops[1].URI != "other" || len(under["newest"]) != 2 || len(under["other"]) != 0 {
		t.Errorf("on top %v, under %v", tops, under)
	}
}
