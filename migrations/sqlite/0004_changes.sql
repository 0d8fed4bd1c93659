-- The log, one row for each committed write.
create table changes (
    rv integer not null primary key,
    res integer not null,
    ns text not null,
    name text not null,
    uid blob not null,
    -- 1 create, 2 update, 3 delete
    op integer not null,
    -- The revision that was replaced; 0 for a creation.
    prev_rv integer not null,
    at integer not null default (unixepoch()),
    -- On the first write of a transaction, the id of its batch.
    batch blob,
    -- The new state; of a deletion the last one.
    body blob not null
) strict
