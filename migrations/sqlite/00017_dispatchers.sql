-- +goose Up

-- The processes that dispatch, each until it says so again or the time is over:
-- the cells are shared out evenly among them.
CREATE TABLE dispatchers (
    holder TEXT NOT NULL PRIMARY KEY,
    until  TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE dispatchers;
