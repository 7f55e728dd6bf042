-- +goose Up

-- address: sealed under key key_id, bound to id; address_mac: its keyed hash,
-- null once wiped. slot: "zone|hour", what a digest run looks for.
CREATE TABLE mailboxes (
    id                   TEXT NOT NULL PRIMARY KEY,
    address_mac          BYTEA,
    key_id               TEXT NOT NULL,
    address              BYTEA NOT NULL,
    subscriber_id        TEXT REFERENCES subscribers (id),
    state                TEXT NOT NULL,
    preference_id        TEXT NOT NULL REFERENCES preferences (id),
    language             TEXT NOT NULL,
    only_language        BOOLEAN NOT NULL,
    timezone             TEXT NOT NULL,
    quiet_from           BIGINT,
    quiet_to             BIGINT,
    quiet_flash          BOOLEAN,
    cap                  BIGINT NOT NULL,
    paused_until         TIMESTAMPTZ,
    muted_stories        TEXT NOT NULL,
    hour                 BIGINT NOT NULL,
    slot                 TEXT NOT NULL,
    days                 TEXT NOT NULL,
    weekly               BOOLEAN NOT NULL,
    consent_text         TEXT NOT NULL,
    consent_source       TEXT NOT NULL,
    consent_requested_at TIMESTAMPTZ,
    consent_confirmed_at TIMESTAMPTZ,
    consent_client_hash  TEXT NOT NULL,
    created_at           TIMESTAMPTZ NOT NULL,
    updated_at           TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX mailboxes_address ON mailboxes (address_mac);
CREATE INDEX mailboxes_by_subscriber ON mailboxes (subscriber_id);
CREATE INDEX mailboxes_by_slot ON mailboxes (slot, id) WHERE state = 'active';

-- Who must not be written to. Keyed by the keyed hash of the address and by
-- nothing else, so that it outlives the mailbox and any wipe.
CREATE TABLE suppressions (
    address_mac BYTEA NOT NULL PRIMARY KEY,
    reason      TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL
);

CREATE TABLE digest_signups (
    id                   TEXT NOT NULL PRIMARY KEY,
    address_mac          BYTEA NOT NULL,
    key_id               TEXT NOT NULL,
    address              BYTEA NOT NULL,
    wishes               TEXT NOT NULL,
    hour                 BIGINT NOT NULL,
    days                 TEXT NOT NULL,
    weekly               BOOLEAN NOT NULL,
    subscriber_id        TEXT NOT NULL,
    device_label         TEXT NOT NULL,
    consent_text         TEXT NOT NULL,
    consent_source       TEXT NOT NULL,
    consent_requested_at TIMESTAMPTZ,
    consent_confirmed_at TIMESTAMPTZ,
    consent_client_hash  TEXT NOT NULL,
    created_at           TIMESTAMPTZ NOT NULL,
    expires_at           TIMESTAMPTZ NOT NULL,
    used_at              TIMESTAMPTZ,
    mailbox_id           TEXT NOT NULL,
    mail_state           TEXT NOT NULL,
    mail_next_at         TIMESTAMPTZ,
    mail_owner           TEXT NOT NULL,
    mail_lease_until     TIMESTAMPTZ
);
CREATE INDEX digest_signups_mail ON digest_signups (mail_state, mail_next_at);
CREATE INDEX digest_signups_expiry ON digest_signups (expires_at);

-- When a confirmation mail was last queued for an address.
CREATE TABLE signup_addresses (
    address_mac BYTEA NOT NULL PRIMARY KEY,
    queued_at   TIMESTAMPTZ NOT NULL
);

-- At most one mail a mailbox and local date: the primary key is the promise.
-- told: the account of a run has named it as unknown.
CREATE TABLE digest_mails (
    mailbox_id    TEXT NOT NULL REFERENCES mailboxes (id),
    local_date    TEXT NOT NULL,
    edition_at    TIMESTAMPTZ NOT NULL,
    state         TEXT NOT NULL,
    stories_until TIMESTAMPTZ,
    stories       TEXT NOT NULL,
    attempts      BIGINT NOT NULL,
    next_at       TIMESTAMPTZ,
    reply         TEXT NOT NULL,
    message_id    TEXT NOT NULL,
    owner         TEXT NOT NULL,
    lease_until   TIMESTAMPTZ,
    updated_at    TIMESTAMPTZ NOT NULL,
    told          BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (mailbox_id, local_date)
);
CREATE INDEX digest_mails_open ON digest_mails (state, lease_until) WHERE state IN ('claimed', 'data_started');
CREATE INDEX digest_mails_deferred ON digest_mails (next_at) WHERE state = 'deferred';
CREATE INDEX digest_mails_by_edition ON digest_mails (edition_at);

-- +goose Down
DROP TABLE digest_mails;
DROP TABLE signup_addresses;
DROP TABLE digest_signups;
DROP TABLE suppressions;
DROP TABLE mailboxes;
