-- +goose Up

CREATE TABLE alerts (
    id            TEXT NOT NULL PRIMARY KEY,
    story_uri     TEXT NOT NULL REFERENCES story_heads (uri),
    story_version BIGINT NOT NULL,
    state         TEXT NOT NULL,
    held_from     TEXT NOT NULL,
    level         BIGINT NOT NULL,
    texts         TEXT NOT NULL,
    language      TEXT NOT NULL,
    audience      TEXT NOT NULL,
    sections      TEXT NOT NULL,
    deadline      TIMESTAMP,
    revision      BIGINT NOT NULL,
    author        TEXT NOT NULL,
    submitter     TEXT NOT NULL,
    approver      TEXT NOT NULL,
    releaser      TEXT NOT NULL,
    approved_hash TEXT NOT NULL,
    reason        TEXT NOT NULL,
    hold_until    TIMESTAMP,
    created_at    TIMESTAMP NOT NULL,
    released_at   TIMESTAMP
);
CREATE INDEX alerts_by_story ON alerts (story_uri, created_at);
CREATE INDEX alerts_by_state ON alerts (state, hold_until);
CREATE INDEX alerts_by_created_at ON alerts (created_at);

-- settled: every cell's row is settled. A row that is not unsettles its
-- release again (held devices whose quiet hours ended).
CREATE TABLE releases (
    id          TEXT NOT NULL PRIMARY KEY,
    alert_id    TEXT NOT NULL REFERENCES alerts (id),
    story_uri   TEXT NOT NULL REFERENCES story_heads (uri),
    revision    BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    settled     BOOLEAN NOT NULL,
    level       BIGINT NOT NULL,
    texts       TEXT NOT NULL,
    language    TEXT NOT NULL,
    audience    TEXT NOT NULL,
    sections    TEXT NOT NULL,
    regions     TEXT NOT NULL,
    navigate    TEXT NOT NULL,
    image       TEXT NOT NULL,
    deadline    TIMESTAMP NOT NULL,
    released_at TIMESTAMP NOT NULL,
    raised      BOOLEAN NOT NULL,
    supersedes  BOOLEAN NOT NULL,
    changes     TEXT NOT NULL
);
CREATE UNIQUE INDEX releases_revision ON releases (story_uri, revision);
CREATE INDEX releases_by_alert ON releases (alert_id);
CREATE INDEX releases_by_released_at ON releases (released_at);
CREATE INDEX releases_unsettled ON releases (id) WHERE settled = FALSE;

-- The stop counter: read by every holder of a permit every 100 ms.
CREATE TABLE control (
    id      BIGINT NOT NULL PRIMARY KEY,
    counter BIGINT NOT NULL
);
INSERT INTO control (id, counter) VALUES (1, 1);

-- Bitmaps of device numbers (roaring), one row a release and cell. The n_
-- columns are their cardinalities, so that figures need no bitmap; they stand
-- before the bitmaps because SQLite reads a row from its front.
CREATE TABLE ledger (
    release_id  TEXT NOT NULL REFERENCES releases (id),
    cell        BIGINT NOT NULL,
    fence       BIGINT NOT NULL,
    settled     BOOLEAN NOT NULL,
    quarantined BIGINT NOT NULL,
    n_planned   BIGINT NOT NULL,
    n_held      BIGINT NOT NULL,
    n_accepted  BIGINT NOT NULL,
    n_gone      BIGINT NOT NULL,
    n_failed    BIGINT NOT NULL,
    n_ambiguous BIGINT NOT NULL,
    n_cancelled BIGINT NOT NULL,
    n_expired   BIGINT NOT NULL,
    timing      TEXT NOT NULL,
    planned     BLOB NOT NULL,
    held        BLOB NOT NULL,
    opened      BLOB NOT NULL,
    accepted    BLOB NOT NULL,
    gone        BLOB NOT NULL,
    failed      BLOB NOT NULL,
    ambiguous   BLOB NOT NULL,
    cancelled   BLOB NOT NULL,
    expired     BLOB NOT NULL,
    PRIMARY KEY (release_id, cell)
);
CREATE INDEX ledger_held ON ledger (cell) WHERE n_held > 0;
CREATE INDEX ledger_unsettled ON ledger (release_id) WHERE settled = FALSE;

CREATE TABLE receipts (
    alert_id    TEXT NOT NULL,
    revision    BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    cell        BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    received_at TIMESTAMP NOT NULL,
    PRIMARY KEY (alert_id, revision, kind, cell, number)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE receipts;
DROP TABLE ledger;
DROP TABLE control;
DROP TABLE releases;
DROP TABLE alerts;
