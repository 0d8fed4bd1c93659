-- One row for each domain of revisions. Shard 0 is everything. Its lock serialises all writers.
create table store_meta (
    shard smallint not null primary key,
    -- The last committed revision.
    revision bigint not null,
    -- The log is forgotten up to here.
    compacted bigint not null,
    -- New when history is not a continuation, as after a restore.
    epoch uuid not null,
    -- Made once; marks what this installation owns elsewhere.
    installation uuid not null,
    -- Tells whether a sealing key is the right one.
    seal_check bytea
) with (fillfactor = 10)
