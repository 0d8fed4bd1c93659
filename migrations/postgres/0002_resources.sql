create table resources (
    id integer generated always as identity primary key,
    grp text collate "C" not null,
    plural text collate "C" not null,
    unique (grp, plural)
)
