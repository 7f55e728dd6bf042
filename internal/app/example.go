package app

import (
	"encoding/json"
	"fmt"
	"time"
)

// exampleFile is the example in a demo's folder.
const exampleFile = "example-story.json"

// ExampleStory is a story of this moment, ready to be published: breaking, with
// a translation, linked to the first of the hosts that links may lead to. Each
// second has another one.
func ExampleStory(now time.Time, hosts []string) ([]byte, error) {
	host := "news.example"
	if len(hosts) > 0 {
		host = hosts[0]
	}
	now = now.UTC().Truncate(time.Second)
	address := fmt.Sprintf("https://%s/%s/example-%s", host, now.Format("2006/01/02"), now.Format("150405"))
	type text struct {
		Headline   string `json:"headline"`
		Standfirst string `json:"standfirst"`
	}
	english := text{"Example: bullet trains stop after a power cut near Nagoya",
		"This story was made to try things out. The operator expects trains to run again within the hour."}
	body, err := json.MarshalIndent(struct {
		URI       string `json:"uri"`
		Version   int    `json:"version"`
		Pubstatus string `json:"pubstatus"`
		text
		URL          string          `json:"url"`
		Kind         string          `json:"kind"`
		Language     string          `json:"language"`
		Regions      []string        `json:"regions"`
		Sections     []string        `json:"sections"`
		Urgency      int             `json:"urgency"`
		Breaking     bool            `json:"breaking"`
		Created      time.Time       `json:"versioncreated"`
		Translations map[string]text `json:"translations"`
	}{address, 1, "usable", english, address, "article", "en", []string{"JP"}, []string{"society"}, 2, true, now,
		map[string]text{"ja": {"例:名古屋付近の停電で新幹線が停止", "動作を試すための記事です。運行会社は1時間以内の再開を見込んでいます。"}}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("example story: %w", err)
	}
	return append(body, '\n'), nil
}
