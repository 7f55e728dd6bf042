-- +goose Up

CREATE TABLE policies (
    level  BIGINT NOT NULL PRIMARY KEY,
    policy TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at TIMESTAMP NOT NULL
);

CREATE TABLE editors (
    name       TEXT NOT NULL PRIMARY KEY,
    role       TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- hash: hex SHA-256 of the key; the key itself is nowhere.
CREATE TABLE api_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    editor     TEXT NOT NULL REFERENCES editors (name),
    scopes     TEXT NOT NULL,
    hash       TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);

-- Appended to, never changed.
CREATE TABLE audit (
    id      TEXT NOT NULL PRIMARY KEY,
    at      TIMESTAMP NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at, id);

-- One line a key the program must hold: a process without it, or with
-- another one, refuses to start.
CREATE TABLE fingerprints (
    name       TEXT NOT NULL PRIMARY KEY,
    value      TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE fingerprints;
DROP TABLE audit;
DROP TABLE api_keys;
DROP TABLE editors;
DROP TABLE policies;
