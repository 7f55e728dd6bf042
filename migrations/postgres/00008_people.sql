-- +goose Up

-- When an editor signed in last; NULL: not since this column is there.
ALTER TABLE accounts ADD COLUMN signed_in_at TIMESTAMPTZ;

-- An editor's passkeys (WebAuthn). id: the credential's, base64url. credential:
-- its public key and flags as JSON, nothing secret. counter: the last one the
-- authenticator told; what is not above it comes from a copy.
CREATE TABLE passkeys (
    id         TEXT NOT NULL PRIMARY KEY,
    editor     TEXT NOT NULL REFERENCES editors (name),
    name       TEXT NOT NULL,
    credential TEXT NOT NULL,
    counter    BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    used_at    TIMESTAMPTZ
);
CREATE INDEX passkeys_by_editor ON passkeys (editor);

-- The accounts at an OpenID provider that open the desk for an editor.
CREATE TABLE identities (
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    editor     TEXT NOT NULL REFERENCES editors (name),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX identities_by_editor ON identities (editor, issuer);

-- Sign-ins that were begun and wait for the browser to come back, once. hash:
-- hex SHA-256 of the challenge or state.
CREATE TABLE ceremonies (
    hash       TEXT NOT NULL PRIMARY KEY,
    purpose    TEXT NOT NULL,
    editor     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ceremonies_by_end ON ceremonies (expires_at);

-- +goose Down
DROP TABLE ceremonies;
DROP TABLE identities;
DROP TABLE passkeys;
ALTER TABLE accounts DROP COLUMN signed_in_at;
