-- +goose Up

-- The newsroom's caps: how many alerts of a level (2 bulletin, 3 flash) are
-- released within an hour and a day; 0 and 0: any number. A release locks its
-- level's row and counts, so that two desks at once can't pass. set_by: '' until
-- the configuration or a chief has set it.
CREATE TABLE caps (
    level    BIGINT NOT NULL PRIMARY KEY,
    per_hour BIGINT NOT NULL,
    per_day  BIGINT NOT NULL,
    set_by   TEXT NOT NULL,
    set_at   TIMESTAMPTZ NOT NULL
);
INSERT INTO caps (level, per_hour, per_day, set_by, set_at) VALUES
    (2, 0, 0, '', CURRENT_TIMESTAMP), (3, 0, 0, '', CURRENT_TIMESTAMP);
CREATE INDEX alerts_by_release ON alerts (level, released_at);

-- Releases by one editor where two are asked for. Each waits until another
-- editor has signed it off.
CREATE TABLE emergencies (
    id          TEXT NOT NULL PRIMARY KEY,
    alert_id    TEXT NOT NULL REFERENCES alerts (id),
    editor      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    at          TIMESTAMPTZ NOT NULL,
    reviewed_by TEXT NOT NULL,
    note        TEXT NOT NULL,
    reviewed_at TIMESTAMPTZ,
    CHECK (reviewed_by <> editor)
);
CREATE INDEX emergencies_by_alert ON emergencies (alert_id);

-- Browsers that editors are called on. secret: the push subscription, sealed
-- under key key_id, bound to id. endpoint_mac: its look-up hash.
CREATE TABLE desk_phones (
    id           TEXT NOT NULL PRIMARY KEY,
    editor       TEXT NOT NULL REFERENCES editors (name),
    endpoint_mac BYTEA NOT NULL,
    key_id       TEXT NOT NULL,
    secret       BYTEA NOT NULL,
    vapid_key_id TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX desk_phones_endpoint ON desk_phones (endpoint_mac);
CREATE INDEX desk_phones_by_editor ON desk_phones (editor);

-- +goose Down
DROP TABLE desk_phones;
DROP TABLE emergencies;
DROP INDEX alerts_by_release;
DROP TABLE caps;
