package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"
)

// jointTable is a fresh SQLite file with one table, and a joint over it.
func jointTable(t testing.TB) *joint {
	t.Helper()
	db, ro, err := openSQLite("sqlite:" + filepath.Join(t.TempDir(), "joint.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(db.Close(), ro.Close()) })
	if _, err := db.Exec("CREATE TABLE did (n INTEGER NOT NULL, step INTEGER NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	return &joint{db: db, joining: maxJoining}
}

// steps counts what the table has of each.
func (j *joint) steps(t testing.TB) map[int]int {
	t.Helper()
	var rows []struct{ N, Steps int }
	if err := j.db.Select(&rows, "SELECT n, COUNT(*) AS steps FROM did GROUP BY n"); err != nil {
		t.Fatal(err)
	}
	out := map[int]int{}
	for _, r := range rows {
		out[r.N] = r.Steps
	}
	return out
}

var errOwn = errors.New("its own fault")

// manner is how a member's transaction goes.
type manner string

const (
	good       manner = "good"
	fails      manner = "fails"      // after its first step
	panics     manner = "panics"     // after its first step
	gaveUp     manner = "gave up"    // its context ended before
	givesUp    manner = "gives up"   // its context ends at some time
	rolledBack manner = "rolls back" // SQLite undoes everything under it
)

// do is a transaction of two steps.
func (m manner) do(j *joint, n int) (err error) {
	ctx := context.Background()
	switch m {
	case gaveUp:
		var end func()
		ctx, end = context.WithCancel(ctx)
		end()
	case givesUp:
		var end func()
		ctx, end = context.WithCancel(ctx)
		go end()
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	_, err = j.run(ctx, func(tx *sqlx.Tx) error {
		for step := range 2 {
			if _, err := tx.ExecContext(ctx, "INSERT INTO did (n, step) VALUES (?, ?)", n, step); err != nil {
				return err
			}
			switch m {
			case fails:
				return errOwn
			case panics:
				panic(errOwn)
			case rolledBack:
				_, err := tx.Exec("ROLLBACK")
				return errors.Join(err, errOwn)
			}
		}
		return nil
	})
	return err
}

// Whatever the others do: who is told that it is done has both steps in the
// table, and who is told an error has none of them.
func TestJointTellsTheTruth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		j := jointTable(t)
		manners := rapid.SliceOfN(rapid.SampledFrom([]manner{good, good, good, fails, panics, gaveUp, givesUp, rolledBack}), 1, 40).Draw(rt, "manners")
		told := make([]error, len(manners))
		var all sync.WaitGroup
		for n, m := range manners {
			all.Go(func() { told[n] = m.do(j, n) })
		}
		all.Wait()
		steps := j.steps(t)
		for n, m := range manners {
			want := 0
			if told[n] == nil {
				want = 2
			}
			if steps[n] != want {
				rt.Fatalf("%d (%s) has %d steps and was told %v", n, m, steps[n], told[n])
			}
			alone := !slices.Contains(manners, rolledBack)
			if m == good && told[n] != nil && (alone || !errors.Is(told[n], errAgain)) {
				rt.Fatalf("%d is good and was told %v", n, told[n])
			}
			if m == fails && !errors.Is(told[n], errOwn) && !errors.Is(told[n], errAgain) {
				rt.Fatalf("%d was told %v", n, told[n])
			}
		}
	})
}

// Whoever waits behind a slow one shares its commit, as long as that takes members.
func TestJointSharesOneCommit(t *testing.T) {
	const members = 20
	for joining, want := range map[time.Duration]int{time.Hour: 1, 0: members + 1} {
		if got := commitsOf(t, members, joining); got != want {
			t.Errorf("joining for %s: %d commits for %d transactions, want %d", joining, got, members+1, want)
		}
	}
}

// commitsOf is how many commits it takes for one slow member and those who came
// behind it.
func commitsOf(t *testing.T, members int, joining time.Duration) int {
	j := jointTable(t)
	j.joining = joining
	var mu sync.Mutex
	seen := map[*sqlx.Tx]int{}
	note := func(tx *sqlx.Tx) {
		mu.Lock()
		defer mu.Unlock()
		seen[tx]++
	}
	waiting := func(n int) bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.queue) == n
	}
	began, enough := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	first := func(tx *sqlx.Tx) error { close(began); <-enough; note(tx); return nil }
	all.Go(func() {
		if _, err := j.run(t.Context(), first); err != nil {
			t.Error(err)
		}
	})
	<-began
	for range members {
		all.Go(func() {
			if _, err := j.run(t.Context(), func(tx *sqlx.Tx) error { note(tx); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); !waiting(members); {
		if time.Now().After(deadline) {
			t.Fatal("they did not queue")
		}
	}
	close(enough)
	all.Wait()
	return len(seen)
}

// Nobody waits for a leader that has gone: one after the other works as well.
func TestJointOneAfterTheOther(t *testing.T) {
	j := jointTable(t)
	for n := range 50 {
		if err := good.do(j, n); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(j.steps(t)); got != 50 {
		t.Errorf("%d", got)
	}
}

// BenchmarkJoint is the reason: many small transactions at once, with shared
// commits and each with its own.
func BenchmarkJoint(b *testing.B) {
	insert := func(tx *sqlx.Tx) error {
		_, err := tx.Exec("INSERT INTO did (n, step) VALUES (1, 1)")
		return err
	}
	b.Run("shared", func(b *testing.B) {
		j := jointTable(b)
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := j.run(b.Context(), insert); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("own", func(b *testing.B) {
		j := jointTable(b)
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				tx, err := j.db.Beginx()
				if err == nil {
					err = errors.Join(insert(tx), tx.Commit())
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	})
}
