package digest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"dateline/internal/email"
)

// plateOf is a plate of at least size bytes.
func plateOf(t rapid.TB, m *email.Mailer, size int) *email.Plate {
	t.Helper()
	p, err := m.Prepare(email.Mail{Subject: "x", Text: strings.Repeat("a line of text\n", size/15), HTML: "<p>",
		List: email.List{ID: "digest.news.example", Unsubscribe: "https://unsubscribe.invalid/", Help: "https://manage.invalid/"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The plates kept are the last used ones, as many as there is room for.
func TestPlatesKeepTheLastUsed(t *testing.T) {
	m := newPostbox(t).Mailer
	sizes := []*email.Plate{plateOf(t, m, 15), plateOf(t, m, 3000), plateOf(t, m, 9000)}
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 40_000).Draw(t, "limit")
		p := newPlates(limit)
		var model []string // the last used first
		cost := map[string]int{}
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			n := rapid.IntRange(0, 11).Draw(t, "content")
			key := fmt.Sprint(n)
			made := false
			got, err := p.get(key, func() (*email.Plate, error) { made = true; return sizes[n%len(sizes)], nil })
			if err != nil || got != sizes[n%len(sizes)] {
				t.Fatalf("%s: %v, %v", key, got, err)
			}
			cost[key] = got.Size() + len(key)
			at := -1
			for i, k := range model {
				if k == key {
					at = i
				}
			}
			if made != (at < 0) {
				t.Fatalf("content %s: made %t, remembered at %d of %v", key, made, at, model)
			}
			if at >= 0 {
				model = append(model[:at], model[at+1:]...)
			}
			model = append([]string{key}, model...)
			for total(model, cost) > limit && len(model) > 1 {
				model = model[:len(model)-1]
			}
		}
		if p.size != total(model, cost) || len(p.byKey) != len(model) || p.order.Len() != len(model) {
			t.Fatalf("%d bytes of %d contents, want %d of %d", p.size, len(p.byKey), total(model, cost), len(model))
		}
	})
}

func total(keys []string, cost map[string]int) int {
	n := 0
	for _, k := range keys {
		n += cost[k]
	}
	return n
}

func TestPlatesMakeEachOnce(t *testing.T) {
	p := newPlates(1 << 20)
	plate := plateOf(t, newPostbox(t).Mailer, 15)
	var made atomic.Int64
	var readers sync.WaitGroup
	for range 16 {
		readers.Go(func() {
			got, err := p.get("a", func() (*email.Plate, error) { made.Add(1); return plate, nil })
			if err != nil || got != plate {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	readers.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestPlatesForgetFaults(t *testing.T) {
	p := newPlates(1 << 20)
	if _, err := p.get("a", func() (*email.Plate, error) { return nil, errTest }); !errors.Is(err, errTest) {
		t.Errorf("error %v", err)
	}
	plate := plateOf(t, newPostbox(t).Mailer, 15)
	if got, err := p.get("a", func() (*email.Plate, error) { return plate, nil }); err != nil || got != plate {
		t.Errorf("%v, %v", got, err)
	}
}
