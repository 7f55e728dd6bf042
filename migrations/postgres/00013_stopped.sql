-- +goose Up

-- Who held, cancelled or killed an alert last, and when; '' and NULL while
-- nothing stops it. The trail has it, too, in lines that are not found by alert.
ALTER TABLE alerts ADD COLUMN stopped_by TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN stopped_at TIMESTAMPTZ;
UPDATE alerts SET stopped_by = t.actor, stopped_at = t.at
    FROM audit t, (SELECT subject, MAX(seq) AS seq FROM audit
        WHERE action IN ('hold', 'canary', 'cancel', 'kill') GROUP BY subject) last
    WHERE t.seq = last.seq AND t.subject = 'alert/' || alerts.id AND alerts.state IN ('held', 'cancelled', 'killed');

-- What was set aside and needs nothing any more: who says so, when and why.
ALTER TABLE dead_letters ADD COLUMN dismissed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN dismissed_at TIMESTAMPTZ;
ALTER TABLE dead_letters ADD COLUMN dismissed_for TEXT NOT NULL DEFAULT '';

-- Names are identities: two that differ in case alone are one person.
CREATE UNIQUE INDEX editors_spelling ON editors (LOWER(name));

-- +goose Down
DROP INDEX editors_spelling;
ALTER TABLE dead_letters DROP COLUMN dismissed_for;
ALTER TABLE dead_letters DROP COLUMN dismissed_at;
ALTER TABLE dead_letters DROP COLUMN dismissed_by;
ALTER TABLE alerts DROP COLUMN stopped_at;
ALTER TABLE alerts DROP COLUMN stopped_by;
