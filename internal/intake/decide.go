package intake

import (
	"fmt"
	"time"

	"dateline/internal/news"
)

// Rules are what a decision needs to know beside the story and its past.
type Rules struct {
	Policies news.Policies
	// MaxStoryAge: older stories raise nothing by themselves.
	MaxStoryAge time.Duration
	// Navigate gives the absolute URL that a press on the notification opens.
	Navigate func(*news.Alert, *news.Story) string
	NewID    func() string
	Now      time.Time
}

// system is the intake itself. Under policy two it counts as nobody.
func system() news.Person { return news.Person{Name: news.SystemName, System: true} }

// terms are the terms of what goes out by itself: without a countdown, since
// nobody is there to undo it.
func (r Rules) terms(l news.Level) news.ReleaseTerms {
	return news.ReleaseTerms{Policy: r.policy(l), Navigate: r.Navigate, NewID: r.NewID, Now: r.Now}
}

// policy is the level's policy; a level that is not named has the default one.
func (r Rules) policy(l news.Level) news.Policy {
	if p, ok := r.Policies[l]; ok {
		return p
	}
	return news.DefaultPolicies()[l]
}

// Decide says what follows from a story that is about to be stored as the
// newest version of its uri (DESIGN 6). It is pure. Stories that are not the
// newest version have no effects.
func Decide(story news.Story, prior news.StoryPrior, rules Rules) (news.StoryEffects, error) {
	if prior.Latest != nil {
		if story.Version == 0 {
			story.Version = prior.Latest.Version + 1
		}
		if story.Version <= prior.Latest.Version {
			return news.StoryEffects{}, nil
		}
	}
	story.Version = max(story.Version, 1)
	switch story.Status {
	case news.Withheld:
		return withhold(&story, prior)
	case news.Canceled:
		return cancel(&story, prior, rules)
	}
	effects := news.StoryEffects{Changes: liftEmbargo(&story, prior, rules)}
	if level, ok := drafts(&story, prior, rules); ok {
		if err := draft(&effects, &story, prior, level, rules); err != nil {
			return news.StoryEffects{}, err
		}
	}
	return effects, nil
}

// withhold puts everything of the story that is not finished on hold. What is
// held already keeps its reason. A later usable version does not resume it:
// that is the desk's to judge.
func withhold(story *news.Story, prior news.StoryPrior) (news.StoryEffects, error) {
	var effects news.StoryEffects
	for _, a := range prior.Alerts {
		if !a.State.Unfinished() || a.State == news.AlertHeld {
			continue
		}
		action, err := news.Hold(&a, system(), fmt.Sprintf("the newsroom withheld the story (version %d)", story.Version))
		if err != nil {
			return news.StoryEffects{}, fmt.Errorf("intake: hold alert %s: %w", a.ID, err)
		}
		effects.Changes = append(effects.Changes, news.AlertChange{Alert: a, Action: action})
	}
	return effects, nil
}

// cancel stops everything of the story that is not finished. What was sent is
// taken back where the level's policy is auto; otherwise the desk is asked for
// the KILL. The age of the story does not matter here: a retraction is not
// news, and late is better than never.
func cancel(story *news.Story, prior news.StoryPrior, rules Rules) (news.StoryEffects, error) {
	var effects news.StoryEffects
	reason := fmt.Sprintf("the newsroom canceled the story (version %d)", story.Version)
	for _, a := range prior.Alerts {
		var action news.AlertAction
		var err error
		switch kill := a.Revision > 0 && a.State != news.AlertKilled && rules.policy(a.Level) == news.PolicyAuto; {
		case kill:
			action, err = news.Kill(&a, story, system(), reason, news.RetractionTexts(&a), rules.terms(a.Level))
		case a.State.Unfinished():
			action, err = news.Cancel(&a, system(), reason)
		default:
			continue
		}
		if err != nil {
			return news.StoryEffects{}, fmt.Errorf("intake: stop alert %s: %w", a.ID, err)
		}
		effects.Changes = append(effects.Changes, news.AlertChange{Alert: a, Action: action})
	}
	return effects, nil
}

// drafts reports whether a usable version raises an alert by itself, and at
// which level: the first breaking one, and the first one at all, if it is not
// breaking, as a notice. A breaking one after a notice speaks louder.
func drafts(story *news.Story, prior news.StoryPrior, rules Rules) (news.Level, bool) {
	level := news.DefaultLevel(story)
	usedBefore := prior.Latest != nil && prior.Latest.Status == news.Usable
	switch {
	case rules.Now.Sub(story.AgeFrom()) > rules.MaxStoryAge:
		return 0, false
	case story.Breaking && usedBefore && prior.Latest.Breaking:
		return 0, false // an earlier version was the first
	case !story.Breaking && usedBefore:
		return 0, false
	}
	for _, a := range prior.Alerts {
		if !story.Breaking || a.Level > news.LevelNotice {
			return 0, false // somebody raised it already, whatever became of it
		}
	}
	return level, true
}

// draft adds the story's alert, and releases it where the policy is auto: at
// once, or when the embargo ends. Over the newsroom's cap it stays a draft that
// says so.
func draft(effects *news.StoryEffects, story *news.Story, prior news.StoryPrior, level news.Level, rules Rules) error {
	a := news.DefaultAlert(story, level, news.SystemName, rules.NewID, rules.Now)
	effects.Draft = &a
	if rules.policy(level) != news.PolicyAuto {
		return nil
	}
	if prior.Room != nil && prior.Room.Full(rules.Now) {
		a.Reason = "not released by itself: " + prior.Room.Why(level, rules.Now)
		return nil
	}
	action, err := news.Start(&a, story, system(), "", rules.terms(level))
	if err != nil {
		return fmt.Errorf("intake: release the alert of %s: %w", story.URI, err)
	}
	if action.Release != nil {
		action.Release.Raised = speaksUp(level, prior.Alerts)
		effects.Release = action.Release
	}
	return nil
}

// speaksUp reports whether something of the story was sent before, all of it
// more quietly.
func speaksUp(level news.Level, before []news.Alert) bool {
	loudest := news.Level(0)
	for _, a := range before {
		if a.Revision > 0 {
			loudest = max(loudest, a.Level)
		}
	}
	return loudest > 0 && level > loudest
}

// liftEmbargo lets alerts that wait for the end of an embargo go earlier when
// the new version's embargo ends earlier. One that ends later is looked at when
// the wait is over (news.EndHold), and their content is not touched.
func liftEmbargo(story *news.Story, prior news.StoryPrior, rules Rules) []news.AlertChange {
	if prior.Latest == nil || !prior.Latest.Embargo.After(rules.Now) || !story.Embargo.Before(prior.Latest.Embargo) {
		return nil
	}
	until := rules.Now
	if story.Embargo.After(until) {
		until = story.Embargo
	}
	var changes []news.AlertChange
	for _, a := range prior.Alerts {
		if a.State == news.AlertHolding && a.HoldUntil.Equal(prior.Latest.Embargo) {
			a.HoldUntil = until
			changes = append(changes, news.AlertChange{Alert: a, Action: news.AlertAction{Audit: "embargo", By: news.SystemName}})
		}
	}
	return changes
}
