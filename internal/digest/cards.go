package digest

import (
	"sync"

	"dateline/internal/email"
	"dateline/internal/news"
)

// maxCards bounds the stories remembered as laid out: 1 KB each, 4 MB.
const maxCards = 4000

// cards remembers how stories look in a mail (DESIGN 8: once per story and
// language). Cutting texts to length at the borders of graphemes and writing
// datelines takes half the time of rendering a content: 1.1 of 2.2 ms with 20
// stories. The zero value is ready.
type cards struct {
	mu    sync.Mutex
	byKey map[cardKey]card
}

// cardKey names everything that a card depends on.
type cardKey struct {
	uri      string
	version  int64
	language string // the reader's
	limit    int
}

// card is a story laid out, and its standfirst where it opens the mail.
type card struct {
	view           storyView
	leadStandfirst string
}

func (r *Renderer) cardKey(story *news.Story, w news.Wishes, limit int) cardKey {
	return cardKey{story.URI, story.Version, w.Language, limit}
}

func (c *cards) get(key cardKey, make func() card) card {
	c.mu.Lock()
	known, ok := c.byKey[key]
	c.mu.Unlock()
	if ok {
		return known
	}
	made := make() // by several at once, rather than that all wait
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil || len(c.byKey) >= maxCards {
		c.byKey = map[cardKey]card{}
	}
	c.byKey[key] = made
	return made
}

// makeCard lays a story out. It is shared: nobody may change what it points to.
func makeCard(words email.Vocabulary, story *news.Story, w news.Wishes, limit int) card {
	text, lang := story.TextIn(w.Language)
	return card{
		view: storyView{Kind: words.Kind(story.Kind), Headline: clip(text.Headline, min(maxHeadline, limit+40)), URL: story.URL,
			Dateline: dateline(story, lang), Standfirst: clip(text.Standfirst, limit),
			Lang: lang, Dir: news.Direction(lang), Face: email.FaceOf(lang), Around: email.FaceOf(words.Language),
			Image: pictureOf(story.Image, smallWidth)},
		leadStandfirst: clip(text.Standfirst, limit*5/3),
	}
}
