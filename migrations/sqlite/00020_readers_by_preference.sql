-- A digest's readers are read by preference, so that what they share is made once
-- however many preferences there are.

-- +goose Up
DROP INDEX mailboxes_by_slot;
CREATE INDEX mailboxes_by_slot ON mailboxes (slot, preference_id, id) WHERE state = 'active';
-- All of them in the same order, for the walk over everybody: over many slots at once
-- the other index would have to be sorted for each page.
CREATE INDEX mailboxes_by_preference ON mailboxes (preference_id, id) WHERE state = 'active';

-- +goose Down
DROP INDEX mailboxes_by_preference;
DROP INDEX mailboxes_by_slot;
CREATE INDEX mailboxes_by_slot ON mailboxes (slot, id) WHERE state = 'active';
