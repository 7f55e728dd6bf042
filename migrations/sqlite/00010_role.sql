-- +goose Up

-- SQLite has no roles: whoever may write the file may write all of it. The
-- triggers and the chain of hashes stand alone.
SELECT 1;

-- +goose Down
SELECT 1;
