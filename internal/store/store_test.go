package store_test

import (
	"context"
	"testing"

	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

func TestMigrateTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		if err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		current, latest, err := s.SchemaVersion(ctx)
		if err != nil || current != latest || current < 5 {
			t.Fatalf("schema version %d of %d, %v", current, latest, err)
		}
	})
}
