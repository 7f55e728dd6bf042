package audience

import "dateline/internal/news"

// Tally is whom a plan reaches, by what the desk asks for.
type Tally struct {
	Devices     int // planned
	Held        int // of them, asleep
	Quarantined int
	// Regions counts devices by the followed places, as readers wrote them,
	// through which the alert reaches them. One that follows both JP and 142
	// counts under both, so these add up to more than Devices.
	Regions map[string]int
	// Texts counts by the language of the text they get, Languages by the one
	// they asked for.
	Texts     map[string]int
	Languages map[string]int
	// Hours counts by the local hour at the query's Now.
	Hours   [24]int
	Reasons map[Reason]int // every device judged, planned or not
}

// NewTally is an empty tally.
func NewTally() Tally {
	return Tally{Regions: map[string]int{}, Texts: map[string]int{}, Languages: map[string]int{}, Reasons: map[Reason]int{}}
}

// Add adds o to t, which NewTally made.
func (t *Tally) Add(o Tally) {
	t.Devices += o.Devices
	t.Held += o.Held
	t.Quarantined += o.Quarantined
	addCounts(t.Regions, o.Regions)
	addCounts(t.Texts, o.Texts)
	addCounts(t.Languages, o.Languages)
	addCounts(t.Reasons, o.Reasons)
	for h, n := range o.Hours {
		t.Hours[h] += n
	}
}

func addCounts[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

// Count tallies a cell's plan. A device that changed since it was planned is
// counted as it is now.
func (m *Matcher) Count(c *Cell, plan Plan) Tally {
	t := NewTally()
	t.Devices, t.Held = int(plan.Planned.GetCardinality()), int(plan.Held.GetCardinality())
	t.Quarantined = plan.Quarantined
	addCounts(t.Reasons, plan.Reasons)
	preferences, languages, clocks := map[uint32]int{}, map[uint32]int{}, map[uint32]int{}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.mu.RLock()
	defer c.mu.RUnlock()
	for it := plan.Planned.Iterator(); it.HasNext(); {
		if p, i, ok := c.at(it.Next()); ok {
			preferences[p.preferences[i]]++
			languages[p.languages[i]]++
			clocks[p.clocks[i]]++
		}
	}
	for id, n := range preferences {
		for _, code := range via(m.interned.preference(id), m.aim) {
			t.Regions[code] += n
		}
	}
	for id, n := range languages {
		t.Languages[m.interned.language(id)] += n
		t.Texts[m.text(id)] += n
	}
	for id, n := range clocks {
		_, zone := m.interned.clock(id)
		t.Hours[m.query.Now.In(zone).Hour()] += n
	}
	return t
}

// text is the language of the text that readers of a language get.
func (m *Matcher) text(language uint32) string {
	picked, known := m.texts[language]
	if !known {
		picked = news.PickLanguage(m.interned.language(language), m.query.Languages, m.query.Language)
		m.texts[language] = picked
	}
	return picked
}

// Reach matches and counts every cell: what the desk shows before a release.
func (a *Audience) Reach(q Query, sentToday func(subscriberID string) int) Tally {
	m, total := a.NewMatcher(q), NewTally()
	for _, c := range a.cells {
		total.Add(m.Count(c, m.MatchCell(c, sentToday, nil)))
	}
	return total
}
