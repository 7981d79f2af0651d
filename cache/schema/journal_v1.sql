-- journal.db, version 1: what happened at the doors.
-- Written by cache/journal/journal.py only; docs/storage.md explains every table.
PRAGMA application_id = 1818518378;  -- "ldcj"
PRAGMA user_version = 1;

-- chain = SHA-256(chain of the record before || canonical encoding of this one).
CREATE TABLE event (
    sequence   INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,  -- microseconds since 1970-01-01 UTC
    monotonic  REAL NOT NULL,     -- seconds since boot
    quality    TEXT NOT NULL,
    boot_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    door       TEXT,
    reader     TEXT,
    person     TEXT,
    reason     TEXT,
    access_group TEXT,
    level      TEXT,
    generation INTEGER,
    detail     TEXT NOT NULL,     -- JSON: [[name, value], …]
    trace      TEXT NOT NULL,     -- JSON: [[rule, passed, text], …]
    chain      BLOB NOT NULL
) STRICT;

-- One row: the last record that retention took away, where the chain now begins.
CREATE TABLE anchor (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL,
    chain    BLOB NOT NULL
) STRICT;
INSERT INTO anchor VALUES (1, 0, x'');

-- What the doors must still know after a power cut, written together with the events it belongs to.
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
