package app

import (
	"dateline/internal/news"
	"dateline/internal/simulate"
)

type demoPhone struct {
	*simulate.Phone
	Wishes news.Wishes
	Label  string
}
