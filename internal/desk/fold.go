package desk

import (
	"dateline/internal/news"
	"dateline/internal/telling"
)

// alikeShown are named under the newest.
const alikeShown = 5

// like lists, of the others, those that tell of the same event, in their order.
func like(t *telling.Telling, others []*telling.Telling) []news.Story {
	var out []news.Story
	for _, o := range others {
		if len(out) < alikeShown && t.Alike(o) {
			out = append(out, *o.Story)
		}
	}
	return out
}

// fold puts every story that an earlier one of the list tells of, too, under
// that one.
func fold(stories []news.Story) (tops []news.Story, under map[string][]news.Story) {
	tellings := make([]*telling.Telling, 0, len(stories))
	for i := range stories {
		tellings = append(tellings, telling.Of(&stories[i]))
	}
	under, folded := map[string][]news.Story{}, map[string]bool{}
	for i, t := range tellings {
		if folded[t.Story.URI] {
			continue
		}
		tops = append(tops, *t.Story)
		for _, s := range like(t, tellings[i+1:]) {
			under[t.Story.URI] = append(under[t.Story.URI], s)
			folded[s.URI] = true
		}
	}
	return tops, under
}
