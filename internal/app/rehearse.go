package app

import (
	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/site"
)

// rehearser holds a choice against what went out, by the rules that plans are
// made by.
type rehearser struct{}

// Rehearse prepares releases. One whose audience can't be read any more (a place
// has been dropped since) comes to nobody.
func (rehearser) Rehearse(past []news.Release) site.Rehearsal {
	queries := make([]audience.Query, len(past))
	for i, r := range past {
		if q, err := queryOf(r); err == nil {
			queries[i] = q
		}
	}
	return audience.NewSample(queries)
}
