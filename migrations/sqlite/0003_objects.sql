-- The current state, one row for each object.
create table objects (
    res integer not null,
    ns text not null,
    name text not null,
    uid blob not null,
    rv integer not null,
    -- JSON without a revision inside; sealed for secret resources.
    body blob not null,
    primary key (res, ns, name)
) strict
