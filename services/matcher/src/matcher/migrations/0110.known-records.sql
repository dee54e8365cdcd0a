-- What the matcher knows of the catalogue's records and of their candidates, so that a run scores only what changed.
-- `platform` is the channel of the match; `side` is the platform of the record: the hub or that channel.

create table known_record (
    tenant        text not null,
    account       text not null,
    kind          text not null check (kind in ('product', 'customer')),
    platform      text not null,
    side          text not null,
    record_id     text collate "C" not null,
    digest        text,
    scored_digest text,
    keys          text[] collate "C" not null,
    before_keys   text[] collate "C",
    about         jsonb not null,
    noticed_at    timestamptz not null default now(),
    primary key (tenant, account, kind, platform, side, record_id)
) with (fillfactor = 60);  -- scored_digest changes in place
comment on column known_record.digest is
    'Of all that a score depends on, as last read: of the names, then of the rest. Null: the catalogue no longer lists it.';
comment on column known_record.scored_digest is 'The digest that the stored candidates were made of; null: it had none.';
comment on column known_record.keys is 'The keys of domain/record_keys.py, of a record that is gone as they were.';
comment on column known_record.before_keys is 'The keys that the stored candidates were made of, where they differ.';
comment on column known_record.about is 'The fields that a comparison by keys and REPAIR_IDS read, as the catalogue has them.';

create index known_record_keys on known_record using gin (keys);

create table candidate_list (
    tenant     text not null,
    account    text not null,
    kind       text not null,
    platform   text not null,
    hub_id     text collate "C" not null,
    remote_ids text[] collate "C" not null,
    candidates jsonb not null,
    primary key (tenant, account, kind, platform, hub_id)
);
comment on table candidate_list is 'The candidates of each record of the hub that has any, as scored last.';

create index candidate_list_remotes on candidate_list using gin (remote_ids);

create table match_memory (
    tenant       text not null,
    account      text not null,
    kind         text not null,
    platform     text not null,
    version      text,
    settings     text,
    snapshot_at  timestamptz,
    job_id       text,
    keys_version text,
    generation   bigint not null default 0,
    primary key (tenant, account, kind, platform)
);
comment on table match_memory is
    'The last automatic match. version, settings, snapshot_at: of the stored candidates; null: there are none. '
    'keys_version: of the keys. generation: grows whenever known_record is brought up to date.';

alter table chunk add column version text;
comment on column chunk.version is 'Of the code that scored it; null: of a release that does not say.';
alter table snapshot add column context boolean not null default false;
comment on column snapshot.context is 'It is there for others to be compared with: its own candidates are incomplete.';
