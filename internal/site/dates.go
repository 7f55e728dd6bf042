package site

import (
	"strconv"
	"strings"
	"time"

	"dateline/internal/region"
)

// Day is a date as the page's language writes it, with the months of its
// datelines.
func (v view) Day(t time.Time) (string, error) {
	pattern, err := v.words.say(v.Lang, "date.day")
	if err != nil {
		return "", err
	}
	months, err := v.words.say(v.Lang, "date.months")
	if err != nil {
		return "", err
	}
	month := strings.Fields(months)[t.Month()-1] // a test asks for twelve in every language
	return strings.NewReplacer("D", strconv.Itoa(t.Day()), "B", month, "Y", strconv.Itoa(t.Year())).Replace(pattern), nil
}

// Moment is a day and a time of it, on the clock that t is on.
func (v view) Moment(t time.Time) (string, error) {
	day, err := v.Day(t)
	if err != nil {
		return "", err
	}
	return v.T("date.moment", day, t.Format("15:04")+" "+region.Abbreviation(t))
}
