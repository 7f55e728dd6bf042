-- +goose Up

-- The first few of an alert go first: how far its release has opened up, and
-- how they went in each cell.
ALTER TABLE releases ADD COLUMN phase TEXT NOT NULL DEFAULT 'all';
ALTER TABLE ledger ADD COLUMN canary TEXT NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE ledger DROP COLUMN canary;
ALTER TABLE releases DROP COLUMN phase;
