-- A digest's readers are read by preference, so that what they share is made once
-- however many preferences there are.

-- +goose Up
DROP INDEX mailboxes_by_slot;
CREATE INDEX mailboxes_by_slot ON mailboxes (slot, preference_id, id) WHERE state = 'active';

-- +goose Down
DROP INDEX mailboxes_by_slot;
CREATE INDEX mailboxes_by_slot ON mailboxes (slot, id) WHERE state = 'active';
