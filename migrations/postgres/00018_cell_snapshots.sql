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
    made_at TIMESTAMPTZ NOT NULL,
    key_id  TEXT NOT NULL,
    sealed  BYTEA NOT NULL,
    PRIMARY KEY (cell, first)
);
ALTER TABLE cell_snapshots ALTER COLUMN sealed SET STORAGE EXTERNAL; -- as good as random: not worth a try at compression

-- Who is wiped is in no snapshot any more, whichever version of the program wipes.
-- Whoever wipes has locked the cell's row before, and whoever writes a snapshot does.
-- +goose StatementBegin
CREATE FUNCTION forget_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cell_snapshots WHERE cell = NEW.cell AND first <= NEW.number AND last >= NEW.number;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER devices_wiped AFTER UPDATE OF subscriber_id ON devices FOR EACH ROW
    WHEN (NEW.subscriber_id IS NULL) EXECUTE FUNCTION forget_snapshot();

-- +goose Down
DROP TRIGGER devices_wiped ON devices;
DROP FUNCTION forget_snapshot();
DROP TABLE cell_snapshots;
