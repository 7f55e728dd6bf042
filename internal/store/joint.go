package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// joint lets transactions that wait for SQLite's only writer share one commit.
// A commit waits for the disk (synchronous FULL); the rest of a small
// transaction takes a fraction of that, so a queue drains many times faster
// when it waits once for all. Each member is told only after the commit that
// has its changes; one that fails is undone alone, by a savepoint.
//
// Members see each other's changes before they are committed. That is the same
// as running one after the other, because they stand or fall together: when the
// shared transaction is lost, all of it is undone and every member runs again.
type joint struct {
	db      *sqlx.DB
	joining time.Duration // see maxJoining

	mu      sync.Mutex
	queue   []*member
	leading bool // a goroutine takes from the queue
}

// A shared transaction takes no more members after so many or so long: whoever
// came first waits for all of them.
const (
	maxMembers = 64
	maxJoining = 10 * time.Millisecond
)

// member is a transaction that waits for its turn.
type member struct {
	turn chan *sqlx.Tx // its turn
	ran  chan part     // what became of its part, before the commit
	over chan verdictOfCommit
}

// part is what became of one member's part of a shared transaction.
type part int

const (
	lost part = iota // and everything before it: SQLite has rolled back
	undone
	kept
)

// verdictOfCommit is what became of the whole. unsure: it failed in COMMIT, and
// nobody knows whether it is stored.
type verdictOfCommit struct {
	unsure bool
	err    error
}

// run runs fn, on the caller's goroutine, in a transaction that may be shared.
func (j *joint) run(ctx context.Context, fn func(tx *sqlx.Tx) error) (unsure bool, err error) {
	m := &member{turn: make(chan *sqlx.Tx), ran: make(chan part), over: make(chan verdictOfCommit, 1)}
	j.join(m)
	select {
	case tx := <-m.turn:
		if err := m.take(tx, fn); err != nil {
			return false, err
		}
	case <-ctx.Done():
		if !j.leave(m) { // it was taken just now: the leader waits for an answer
			select {
			case <-m.turn:
				m.ran <- undone
			case <-m.over:
			}
		}
		return false, ctx.Err()
	case v := <-m.over: // it could not begin
		return v.unsure, v.err
	}
	v := <-m.over
	return v.unsure, v.err
}

// take runs fn between savepoints and tells the leader what became of it, also
// when fn panics: the caller may live on, and SQLite's only writer must not be
// lost.
func (m *member) take(tx *sqlx.Tx, fn func(tx *sqlx.Tx) error) (err error) {
	// Nobody's context: each of these statements is done, or the whole is lost.
	mark := func(statement string) error {
		_, err := tx.ExecContext(context.Background(), statement)
		return err
	}
	result, returned := lost, false
	defer func() { m.ran <- result }()
	if err := mark("SAVEPOINT member"); err != nil {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	defer func() {
		if err != nil || !returned {
			if mark("ROLLBACK TO member; RELEASE member") == nil {
				result = undone
			}
			return
		}
		// It is gone when SQLite has rolled back by itself, for a full disk or an
		// interrupted statement whose error fn did not mind.
		if e := mark("RELEASE member"); e != nil {
			err = fmt.Errorf("%w: %w", errAgain, e)
			return
		}
		result = kept
	}()
	err = fn(tx)
	returned = true
	return err
}

func (j *joint) join(m *member) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(j.queue, m)
	if !j.leading {
		j.leading = true
		go func() {
			for first := j.first(); first != nil; first = j.first() {
				j.share(first)
			}
		}()
	}
}

// leave takes a member out that nobody has taken yet.
func (j *joint) leave(m *member) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, waiting := range j.queue {
		if waiting == m {
			j.queue = append(j.queue[:i], j.queue[i+1:]...)
			return true
		}
	}
	return false
}

// next takes the first of the queue; nil when nobody waits.
func (j *joint) next() *member {
	if len(j.queue) == 0 {
		return nil
	}
	m := j.queue[0]
	j.queue = j.queue[1:]
	return m
}

// first is next that ends the lead when nobody waits.
func (j *joint) first() *member {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := j.next()
	j.leading = m != nil
	return m
}

// another is next as long as the shared transaction takes members.
func (j *joint) another(members int, began time.Time) *member {
	if members >= maxMembers || time.Since(began) >= j.joining {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next()
}

// share runs one transaction for the first and for those who wait behind it.
// Its context is nobody's: a member that gives up must not undo the others.
func (j *joint) share(first *member) {
	tx, err := j.db.BeginTxx(context.Background(), nil)
	if err != nil {
		first.over <- verdictOfCommit{err: err}
		return
	}
	var members []*member
	whole := true
	began := time.Now()
	for m := first; m != nil; {
		m.turn <- tx
		p := <-m.ran
		if p == kept {
			members = append(members, m)
		}
		if whole = p != lost; !whole {
			break
		}
		m = j.another(len(members), began)
	}
	v := commit(tx, whole, len(members))
	for _, m := range members {
		m.over <- v
	}
}

func commit(tx *sqlx.Tx, whole bool, members int) verdictOfCommit {
	// After Commit it does nothing.
	defer func() { _ = tx.Rollback() }()
	switch {
	case !whole:
		return verdictOfCommit{err: errAgain}
	case members == 0:
		return verdictOfCommit{}
	}
	err := tx.Commit()
	return verdictOfCommit{unsure: err != nil, err: err}
}
