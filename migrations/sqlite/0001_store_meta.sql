-- One row for each domain of revisions. Shard 0 is everything.
create table store_meta (
    shard integer not null primary key,
    -- The last committed revision.
    revision integer not null,
    -- The log is forgotten up to here.
    compacted integer not null,
    -- New when history is not a continuation, as after a restore.
    epoch blob not null,
    -- Made once; marks what this installation owns elsewhere.
    installation blob not null,
    -- Tells whether a sealing key is the right one.
    seal_check blob
) strict
