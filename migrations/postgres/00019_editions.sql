-- +goose Up

-- edition: editions.id; provider: whose mailbox it is; reason: of the last answer,
-- one word; repairs: keys of the corrections and kills it told of; made_at: what it
-- tells is what was known then.
ALTER TABLE digest_mails ADD COLUMN edition TEXT NOT NULL DEFAULT '';
ALTER TABLE digest_mails ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE digest_mails ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE digest_mails ADD COLUMN repairs TEXT NOT NULL DEFAULT 'null';
ALTER TABLE digest_mails ADD COLUMN made_at TIMESTAMPTZ;
ALTER TABLE digest_mails ADD COLUMN complained_at TIMESTAMPTZ;
CREATE INDEX digest_mails_of_edition ON digest_mails (edition, provider, state);
CREATE INDEX digest_mails_waiting ON digest_mails (edition_at) WHERE state IN ('due', 'deferred');

-- One row a local date, hour, zone and kind, whoever plans it: id is made of the four.
CREATE TABLE editions (
    id         TEXT NOT NULL PRIMARY KEY,
    local_date TEXT NOT NULL,
    timezone   TEXT NOT NULL,
    hour       BIGINT NOT NULL,
    weekly     BOOLEAN NOT NULL,
    edition_at TIMESTAMPTZ NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX editions_once ON editions (local_date, timezone, hour, weekly);
CREATE INDEX editions_by_time ON editions (edition_at);

-- What keeps an edition's mails to a provider back ('': to all). One row a reason:
-- once an editor has resumed it, the same reason does not pause it again.
CREATE TABLE edition_pauses (
    edition    TEXT NOT NULL,
    provider   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    paused_at  TIMESTAMPTZ NOT NULL,
    paused_by  TEXT NOT NULL,
    resumed_at TIMESTAMPTZ,
    resumed_by TEXT NOT NULL,
    PRIMARY KEY (edition, provider, reason)
);

-- What editors do to the digests of a date: notes by language, stories first and
-- stories left out, as JSON.
CREATE TABLE edition_plans (
    local_date TEXT NOT NULL,
    weekly     BOOLEAN NOT NULL,
    notes      TEXT NOT NULL,
    pins       TEXT NOT NULL,
    drops      TEXT NOT NULL,
    version    BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (local_date, weekly)
);

-- What servers and providers said of mails after they were sent. message_id is the
-- report's own: processed again, it changes nothing.
CREATE TABLE mail_reports (
    message_id  TEXT NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    mailbox_id  TEXT NOT NULL,
    local_date  TEXT NOT NULL,
    status      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX mail_reports_by_mailbox ON mail_reports (mailbox_id, local_date);

-- Who left, and by which date's mail ('': unknown).
CREATE TABLE departures (
    mailbox_id TEXT NOT NULL,
    left_at    TIMESTAMPTZ NOT NULL,
    way        TEXT NOT NULL,
    local_date TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, left_at)
);
CREATE INDEX departures_by_date ON departures (local_date);

-- How many mails of a UTC day a provider was sent or is about to be, while it gets to
-- know us.
CREATE TABLE provider_days (
    provider TEXT NOT NULL,
    day      TEXT NOT NULL,
    reserved BIGINT NOT NULL,
    PRIMARY KEY (provider, day)
);

-- How often links and the picture of an edition's mails were asked for, all readers
-- together; story '' is the picture.
CREATE TABLE edition_visits (
    edition TEXT NOT NULL,
    story   TEXT NOT NULL,
    visits  BIGINT NOT NULL,
    PRIMARY KEY (edition, story)
);

-- +goose Down
DROP TABLE edition_visits;
DROP TABLE provider_days;
DROP TABLE departures;
DROP TABLE mail_reports;
DROP TABLE edition_plans;
DROP TABLE edition_pauses;
DROP TABLE editions;
DROP INDEX digest_mails_waiting;
DROP INDEX digest_mails_of_edition;
ALTER TABLE digest_mails DROP COLUMN complained_at;
ALTER TABLE digest_mails DROP COLUMN made_at;
ALTER TABLE digest_mails DROP COLUMN repairs;
ALTER TABLE digest_mails DROP COLUMN reason;
ALTER TABLE digest_mails DROP COLUMN provider;
ALTER TABLE digest_mails DROP COLUMN edition;
