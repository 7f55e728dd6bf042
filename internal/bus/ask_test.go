package bus

import (
	"context"
	"slices"
	"testing"
)

// A question reaches all who answer on its topic, on any connection; who asks stops
// when it has enough, or when its time is over; nobody is no fault.
func TestAsk(t *testing.T) {
	one := openIn(t, t.TempDir())
	two, err := Open(t.Context(), Config{URL: one.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(two.Close)
	for name, b := range map[string]*Bus{"one": one, "two": two} {
		cancel, err := b.OnAsk("reach", func(q []byte) []byte {
			if string(q) == name {
				return nil
			}
			return append([]byte(name+" "), q...)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cancel)
	}
	ask := func(ctx context.Context, topic, question string, enough int) []string {
		t.Helper()
		var got []string
		if err := two.Ask(ctx, topic, []byte(question), func(a []byte) bool {
			got = append(got, string(a))
			return len(got) == enough
		}); err != nil {
			t.Error(err)
		}
		slices.Sort(got)
		return got
	}
	if got := ask(t.Context(), "reach", "JP", 2); !slices.Equal(got, []string{"one JP", "two JP"}) {
		t.Errorf("%q", got)
	}
	if got := ask(t.Context(), "reach", "one", 1); !slices.Equal(got, []string{"two one"}) {
		t.Errorf("%q", got)
	}
	if got := ask(t.Context(), "nothing", "JP", 1); len(got) != 0 {
		t.Errorf("%q", got)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	ask(over, "reach", "JP", 3)
}
