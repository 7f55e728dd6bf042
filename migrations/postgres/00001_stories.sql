-- +goose Up

-- One row a story URI: what every change about the story locks first, and the
-- counters that grow with it. latest 0: no version is stored.
CREATE TABLE story_heads (
    uri      TEXT NOT NULL PRIMARY KEY,
    latest   BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE stories (
    uri          TEXT NOT NULL REFERENCES story_heads (uri),
    version      BIGINT NOT NULL,
    status       TEXT NOT NULL,
    headline     TEXT NOT NULL,
    standfirst   TEXT NOT NULL,
    body         TEXT NOT NULL,
    url          TEXT NOT NULL,
    image        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    byline       TEXT NOT NULL,
    language     TEXT NOT NULL,
    regions      TEXT NOT NULL,
    sections     TEXT NOT NULL,
    urgency      BIGINT NOT NULL,
    breaking     BOOLEAN NOT NULL,
    created      TIMESTAMPTZ NOT NULL,
    embargo      TIMESTAMPTZ,
    translations TEXT NOT NULL,
    hash         TEXT NOT NULL,
    stored_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (uri, version)
);
CREATE INDEX stories_by_stored_at ON stories (stored_at);
CREATE INDEX stories_by_created ON stories (created);

-- stored_at grows in the order of commits (a digest takes what was stored
-- after the last one, and may not miss a slower transaction): one row that
-- each storing transaction locks last.
CREATE TABLE story_clock (
    id      BIGINT NOT NULL PRIMARY KEY,
    last_at TIMESTAMPTZ NOT NULL
);
INSERT INTO story_clock (id, last_at) VALUES (1, '1970-01-01 00:00:00+00:00');

CREATE TABLE story_conflicts (
    id            TEXT NOT NULL PRIMARY KEY,
    uri           TEXT NOT NULL,
    version       BIGINT NOT NULL,
    known         TEXT NOT NULL,
    received_hash TEXT NOT NULL,
    received      TEXT NOT NULL,
    received_at   TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX story_conflicts_once ON story_conflicts (uri, version, received_hash);

CREATE TABLE dead_letters (
    id          TEXT NOT NULL PRIMARY KEY,
    received_at TIMESTAMPTZ NOT NULL,
    source      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    sequence    BIGINT NOT NULL,
    headers     TEXT NOT NULL,
    body        BYTEA NOT NULL,
    problems    TEXT NOT NULL,
    replayed_at TIMESTAMPTZ,
    replay_note TEXT NOT NULL
);
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (source, sequence) WHERE sequence > 0;

-- Events whose handling began and has not ended: a crash leaves its count.
CREATE TABLE handlings (
    sequence   BIGINT NOT NULL PRIMARY KEY,
    starts     BIGINT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL
);

-- +goose Down
DROP TABLE handlings;
DROP TABLE dead_letters;
DROP TABLE story_conflicts;
DROP TABLE story_clock;
DROP TABLE stories;
DROP TABLE story_heads;
