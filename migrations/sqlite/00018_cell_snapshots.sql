-- +goose Up

-- The devices of a cell once more, 1,024 neighbouring numbers in one value, as
-- they were when its change counter stood at change (or later): what a process
-- that starts reads, and then what has changed since. May be deleted at any time.
-- parts: how many the cell had. sealed stands last, so that the rest is read
-- without it.
CREATE TABLE cell_snapshots (
    cell    BIGINT NOT NULL,
    part    BIGINT NOT NULL,
    parts   BIGINT NOT NULL,
    change  BIGINT NOT NULL,
    made_at TIMESTAMP NOT NULL,
    key_id  TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (cell, part)
);

-- +goose Down
DROP TABLE cell_snapshots;
