-- +goose Up

-- The devices of a cell once more: those of the numbers first to last in one value,
-- as they were when its change counter stood at change (or later). A process that
-- starts reads these, and then what has changed since. May be emptied at any time,
-- and is to be after other tables were restored into this database.
-- sealed stands last, so that the rest is read without it.
CREATE TABLE cell_snapshots (
    cell    BIGINT NOT NULL,
    first   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    change  BIGINT NOT NULL,
    made_at TIMESTAMP NOT NULL,
    key_id  TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (cell, first)
);

-- Who is wiped is in no snapshot any more, whichever version of the program wipes.
-- +goose StatementBegin
CREATE TRIGGER devices_wiped AFTER UPDATE OF subscriber_id ON devices WHEN NEW.subscriber_id IS NULL
BEGIN
    DELETE FROM cell_snapshots WHERE cell = NEW.cell AND first <= NEW.number AND last >= NEW.number;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER devices_wiped;
DROP TABLE cell_snapshots;
