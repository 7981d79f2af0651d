-- cache.db, version 1: the directory as the last complete sync left it.
-- Written by cache/directory/store.py only; docs/storage.md explains every table.
PRAGMA application_id = 1818518371;  -- "ldcc"
PRAGMA user_version = 1;

-- Rows are numbered so that a membership costs a few bytes; `id` is the SCIM id.
CREATE TABLE person (
    row           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    name          TEXT,
    user_name     TEXT,
    external_id   TEXT,
    extended_time INTEGER NOT NULL CHECK (extended_time IN (0, 1))
) STRICT;

-- by_name: no binding claims this name and no other group bears it, so that the bare name means this group.
CREATE TABLE access_group (
    row         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    external_id TEXT,
    by_name     INTEGER NOT NULL DEFAULT 0 CHECK (by_name IN (0, 1))
) STRICT;

-- Effective membership: nested groups are already flattened.
CREATE TABLE membership (
    person       INTEGER NOT NULL,
    access_group INTEGER NOT NULL,
    PRIMARY KEY (person, access_group)
) STRICT, WITHOUT ROWID;

-- Several people may hold one key: that is a fact to deny, not one to hide.
CREATE TABLE credential (
    key         BLOB NOT NULL,
    person      INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('card', 'pin')),
    state       TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'lost', 'expired')),
    valid_from  INTEGER,
    valid_until INTEGER,
    label       TEXT NOT NULL,
    PRIMARY KEY (key, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_of_person ON credential (person);

-- The words by which the site file means a group. A row outlives its group: it is then a tombstone.
CREATE TABLE binding (
    reference   TEXT PRIMARY KEY,
    group_id    TEXT NOT NULL,
    external_id TEXT,
    name        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX binding_of_group ON binding (group_id, reference);

-- `undo` holds what leads back to the generation before; only the last three keep it.
CREATE TABLE generation (
    number    INTEGER PRIMARY KEY,
    synced_at INTEGER NOT NULL,
    applied_at INTEGER NOT NULL,
    added     INTEGER NOT NULL,
    removed   INTEGER NOT NULL,
    summary   TEXT NOT NULL,
    undo      BLOB
) STRICT;

-- What was removed lately: the rolling 24 hours of the brake.
CREATE TABLE removal (
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('people', 'groups', 'members', 'credentials')),
    group_id TEXT NOT NULL,
    count    INTEGER NOT NULL
) STRICT;

-- Small values by name: the identity of this cache, the quarantine, a hold on syncing.
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
