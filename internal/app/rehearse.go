package app

import (
	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/site"
)

// rehearser holds a choice against what went out, by the rules that plans are
// made by.
type rehearser struct{}

// Rehearse prepares releases, oldest first. One whose audience can't be read
// any more (a place has been dropped since) comes to nobody.
func (rehearser) Rehearse(past []news.Release) site.Rehearsal { return sampleOf(past) }

func sampleOf(past []news.Release) *audience.Sample {
	queries := make([]audience.Query, len(past))
	for i, r := range past {
		expr, err := region.Parse(r.Audience)
		if err != nil {
			expr = region.Expr{}
		}
		queries[i] = audience.Query{StoryURI: r.StoryURI, Level: r.Level, Expr: expr, Sections: r.Sections,
			Language: r.Language, Now: r.ReleasedAt, Final: r.Final}
		for l := range r.Texts {
			queries[i].Languages = append(queries[i].Languages, l)
		}
	}
	return audience.NewSample(queries)
}
