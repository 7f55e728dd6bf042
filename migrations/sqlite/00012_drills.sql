-- +goose Up

-- One line a drill: that it was held, and its report. What happened in it is
-- in a store of its own, which is gone when it ends. place: the process it
-- runs in. until: when it is over whatever becomes of that process. report: a
-- JSON document; '' until the end, and after a crash.
CREATE TABLE drills (
    id         TEXT NOT NULL PRIMARY KEY,
    place      TEXT NOT NULL,
    started_at TIMESTAMP NOT NULL,
    started_by TEXT NOT NULL,
    until      TIMESTAMP NOT NULL,
    ended_at   TIMESTAMP,
    ended_by   TEXT NOT NULL,
    report     TEXT NOT NULL
);
CREATE INDEX drills_by_start ON drills (started_at);

-- +goose Down
DROP TABLE drills;
