package app

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"dateline/internal/desk"
	"dateline/internal/news"
)

// switchboard is a bus between parts of one test.
type switchboard struct {
	mu        sync.Mutex
	answering map[string][]func([]byte) []byte
}

func (s *switchboard) OnAsk(topic string, answer func([]byte) []byte) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answering[topic] = append(s.answering[topic], answer)
	return func() {}, nil
}

func (s *switchboard) Ask(_ context.Context, topic string, question []byte, take func([]byte) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, answer := range s.answering[topic] {
		if text := answer(question); text != nil && take(text) {
			return nil
		}
	}
	return nil
}

// Each process counts its own cells, and nobody is counted twice.
func TestCountsAreGathered(t *testing.T) {
	bus := &switchboard{answering: map[string][]func([]byte) []byte{}}
	asked := news.Alert{ID: "a", Audience: "ASEAN - SG", Level: news.LevelFlash, Texts: map[string]news.Text{"en": {Title: "Quake"}}}
	for i, holder := range []string{"one", "two", "three", "four"} {
		_, err := respond(bus, topicReach, holder, func(_ context.Context, w whomReached) (desk.Reach, error) {
			a := w.alert()
			if _, has := a.Texts["en"]; a.Audience != asked.Audience || a.Level != asked.Level || !has || a.Texts["en"].Title != "" {
				t.Errorf("%s was asked about %+v", holder, a)
			}
			if holder == "four" {
				return desk.Reach{}, errors.New("busy")
			}
			return desk.Reach{Devices: 10 * (i + 1), Cells: 64, Regions: map[string]int{"JP": i}, RecentAt: time.Unix(int64(100-i), 0),
				Recent: []desk.Overlap{{AlertID: "x", Devices: 1}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all := desk.Reach{Devices: 10, Cells: 64, RecentAt: time.Unix(100, 0)}
	err := gather(t.Context(), bus, topicReach, "one", whomOf(asked), func(r desk.Reach) bool {
		all.Add(r)
		return false
	})
	if err != nil || all.Devices != 60 || all.Cells != 192 || all.Regions["JP"] != 3 || len(all.Recent) != 1 || all.Recent[0].Devices != 2 || all.RecentAt.Unix() != 98 {
		t.Errorf("%+v, %v", all, err)
	}
}
