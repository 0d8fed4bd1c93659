create table resources (
    id integer not null primary key,
    grp text not null,
    plural text not null,
    unique (grp, plural)
) strict
