package region

import (
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	e, err := Parse("ASEAN + TW - TH")
	t.Log(e, err, len(e.Set().spans), Words("ASEAN + TW - TH", "en"), Words("ASEAN + TW - TH", "ja"))
	t.Log(Dateline("JP", time.Date(2024, 2, 6, 1, 30, 0, 0, time.UTC), "en"), Name("JP", "zh-TW"), Name("142", "ja"), len(tree().nodes), tree().nodes[0].to)
}
