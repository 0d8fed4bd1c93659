-- The current state, one row for each object. `rv` has no index, so that updates stay in their page.
create table objects (
    res integer not null,
    ns text collate "C" not null,
    name text collate "C" not null,
    uid uuid not null,
    rv bigint not null,
    -- JSON without a revision inside; sealed for secret resources.
    body bytea not null,
    primary key (res, ns, name)
) with (fillfactor = 85)
