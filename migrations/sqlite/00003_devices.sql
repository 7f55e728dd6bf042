-- +goose Up

-- next_number only grows. change grows with every changed device, under the
-- row's lock: its order is the order of commits.
CREATE TABLE cells (
    cell        BIGINT NOT NULL PRIMARY KEY,
    next_number BIGINT NOT NULL,
    change      BIGINT NOT NULL
);
INSERT INTO cells (cell, next_number, change)
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 255)
SELECT i, 1, 0 FROM n;

-- fence grows with every change of holder; each ledger write names it.
CREATE TABLE cell_leases (
    cell        BIGINT NOT NULL PRIMARY KEY,
    holder      TEXT NOT NULL,
    fence       BIGINT NOT NULL,
    lease_until TIMESTAMP
);
INSERT INTO cell_leases (cell, holder, fence)
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 255)
SELECT i, '', 0 FROM n;

-- Interned: the id is a hash of the body.
CREATE TABLE preferences (
    id         TEXT NOT NULL PRIMARY KEY,
    body       TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

CREATE TABLE subscribers (
    id            TEXT NOT NULL PRIMARY KEY,
    preference_id TEXT NOT NULL REFERENCES preferences (id),
    language      TEXT NOT NULL,
    only_language BOOLEAN NOT NULL,
    timezone      TEXT NOT NULL,
    quiet_from    BIGINT,
    quiet_to      BIGINT,
    quiet_flash   BOOLEAN,
    cap           BIGINT NOT NULL,
    paused_until  TIMESTAMP,
    muted_stories TEXT NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
) WITHOUT ROWID;

-- secret: endpoint and keys, sealed under key key_id, bound to id.
-- endpoint_mac: keyed hash of the endpoint, for look-up; null once wiped.
-- A row is never deleted: its number is never given again.
CREATE TABLE devices (
    cell                BIGINT NOT NULL,
    number              BIGINT NOT NULL,
    id                  TEXT NOT NULL,
    subscriber_id       TEXT REFERENCES subscribers (id),
    state               TEXT NOT NULL,
    change              BIGINT NOT NULL,
    endpoint_mac        BLOB,
    key_id              TEXT NOT NULL,
    secret              BLOB NOT NULL,
    vapid_key_id        TEXT NOT NULL,
    created_at          TIMESTAMP NOT NULL,
    updated_at          TIMESTAMP NOT NULL,
    gone_at             TIMESTAMP,
    endpoint_changed_at TIMESTAMP,
    PRIMARY KEY (cell, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX devices_id ON devices (id);
CREATE UNIQUE INDEX devices_endpoint ON devices (endpoint_mac);
CREATE UNIQUE INDEX devices_change ON devices (cell, change);
CREATE INDEX devices_by_subscriber ON devices (subscriber_id);

-- +goose Down
DROP TABLE devices;
DROP TABLE subscribers;
DROP TABLE preferences;
DROP TABLE cell_leases;
DROP TABLE cells;
