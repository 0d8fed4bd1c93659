-- The log, one row for each committed write.
create table changes (
    rv bigint not null primary key,
    res integer not null,
    ns text collate "C" not null,
    name text collate "C" not null,
    uid uuid not null,
    -- 1 create, 2 update, 3 delete
    op smallint not null,
    -- The revision that was replaced; 0 for a creation.
    prev_rv bigint not null,
    at timestamptz not null default now(),
    -- On the first write of a transaction, the id of its batch.
    batch uuid,
    -- The new state; of a deletion the last one.
    body bytea not null
) with (autovacuum_vacuum_insert_scale_factor = 0.05)
