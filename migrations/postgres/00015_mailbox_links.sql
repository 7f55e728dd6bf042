-- +goose Up

-- kind: 'signup' asks whether a digest is wanted; 'link' takes a fresh link to
-- the owner of a mailbox; 'move' asks at a new address whether a mailbox's digest
-- shall go there. mailbox_id is that mailbox, of a sign-up the one it became.
ALTER TABLE digest_signups ADD COLUMN kind TEXT NOT NULL DEFAULT 'signup';
CREATE INDEX digest_signups_by_address ON digest_signups (address_mac);

-- +goose Down
DROP INDEX digest_signups_by_address;
ALTER TABLE digest_signups DROP COLUMN kind;
