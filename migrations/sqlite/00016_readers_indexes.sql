-- What a reader's export and wipe look up, so that neither reads a whole table.

-- +goose Up
CREATE INDEX receipts_by_device ON receipts (cell, number);
CREATE INDEX digest_signups_by_subscriber ON digest_signups (subscriber_id);
CREATE INDEX digest_signups_by_mailbox ON digest_signups (mailbox_id);

-- +goose Down
DROP INDEX receipts_by_device;
DROP INDEX digest_signups_by_subscriber;
DROP INDEX digest_signups_by_mailbox;
