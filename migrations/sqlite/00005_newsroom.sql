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

-- Appended to, never changed. hash: hex SHA-256 over the line and the hash of
-- the line before it, so that a line that was changed or taken out is found
-- (`dateline doctor` looks); audit_head tells when the last ones are gone.
CREATE TABLE audit (
    seq     BIGINT NOT NULL PRIMARY KEY,
    at      TIMESTAMP NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    hash    TEXT NOT NULL
);
CREATE TABLE audit_head (
    id   BIGINT NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

-- +goose StatementBegin
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is appended to, never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_is_not_cut BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is appended to, never changed'); END;
-- +goose StatementEnd

-- One line a key the program must hold: a process without it, or with
-- another one, refuses to start.
CREATE TABLE fingerprints (
    name       TEXT NOT NULL PRIMARY KEY,
    value      TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE fingerprints;
DROP TABLE audit_head;
DROP TABLE audit;
DROP TABLE api_keys;
DROP TABLE editors;
DROP TABLE policies;
