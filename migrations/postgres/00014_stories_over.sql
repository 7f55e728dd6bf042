-- +goose Up

-- over_stories: stories of which a reader wants corrections, retractions and the
-- last alert only. final: an alert that its desk marked as the story's last.
ALTER TABLE subscribers ADD COLUMN over_stories TEXT NOT NULL DEFAULT 'null';
ALTER TABLE mailboxes ADD COLUMN over_stories TEXT NOT NULL DEFAULT 'null';
ALTER TABLE alerts ADD COLUMN final BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE releases ADD COLUMN final BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE releases DROP COLUMN final;
ALTER TABLE alerts DROP COLUMN final;
ALTER TABLE mailboxes DROP COLUMN over_stories;
ALTER TABLE subscribers DROP COLUMN over_stories;
