-- +goose Up

-- How an editor signs in. password: argon2id (RFC 9106) in PHC form. secret:
-- the second factor's (RFC 6238), sealed under key key_id, bound to editor.
-- step: the time step whose code was used last; each code is good once.
CREATE TABLE accounts (
    editor     TEXT NOT NULL PRIMARY KEY REFERENCES editors (name),
    password   TEXT NOT NULL,
    secret     BLOB NOT NULL,
    key_id     TEXT NOT NULL,
    step       BIGINT NOT NULL,
    changed_at TIMESTAMP NOT NULL
);

-- An editor's one open invitation to choose a password. hash: hex SHA-256 of
-- the link's token; the token is nowhere.
CREATE TABLE invitations (
    editor     TEXT NOT NULL PRIMARY KEY REFERENCES editors (name),
    hash       TEXT NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX invitations_hash ON invitations (hash);

-- hash: hex SHA-256 of the cookie.
CREATE TABLE sessions (
    hash       TEXT NOT NULL PRIMARY KEY,
    editor     TEXT NOT NULL REFERENCES editors (name),
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX sessions_by_editor ON sessions (editor);

-- +goose Down
DROP TABLE sessions;
DROP TABLE invitations;
DROP TABLE accounts;
