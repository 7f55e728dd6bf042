package store

import (
	"context"

	"dateline/internal/news"
)

// IntendedOfLevel is how many devices the last first releases of a level were
// for, newest first: the planned and those in quarantine. One that is not
// planned yet is not among them.
func (s *Store) IntendedOfLevel(ctx context.Context, level news.Level, limit int) ([]int, error) {
	var sizes []int
	err := s.read().selIn(ctx, &sizes, `SELECT SUM(l.n_planned + l.quarantined) FROM
		(SELECT id, released_at FROM releases WHERE kind = ? AND level = ? ORDER BY released_at DESC, id DESC LIMIT ?) r
		JOIN ledger l ON l.release_id = r.id GROUP BY r.id, r.released_at ORDER BY r.released_at DESC, r.id DESC`,
		string(news.ReleaseAlert), int(level), limit)
	return sizes, s.fail(err, "IntendedOfLevel", level.String())
}
