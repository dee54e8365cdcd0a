-- How each item of a channel came out of its last sync: when it was last right, and how it failed if it did.

-- Apart from `written`, whose rows are wide: this one is updated for every record of every sync.
create table synced_item (
    tenant    text not null,
    account   text not null,
    kind      text not null check (kind in ('product', 'customer')),
    platform  text not null,
    remote_id text collate "C" not null,
    hub_id    text collate "C" not null,
    synced_at timestamptz not null,
    primary key (tenant, account, kind, platform, remote_id)
) with (fillfactor = 70);
comment on table synced_item is 'When a sync last wrote an item, or found it as it should be.';

create table failed_item (
    tenant    text not null,
    account   text not null,
    kind      text not null check (kind in ('product', 'customer')),
    platform  text not null,
    hub_id    text collate "C" not null,
    remote_id text collate "C" not null,
    job_id    text collate "C" not null,
    category  text not null,
    code      text not null,
    message   text not null,
    failed_at timestamptz not null,
    times     integer not null check (times > 0),
    failed_in text[] collate "C" not null,
    primary key (tenant, account, kind, platform, hub_id, remote_id)
);
comment on table failed_item is
    'Linked items whose last sync failed. job_id to failed_at: of the last failure. times: failures in a row. '
    'failed_in: the jobs of these failures, the last 20 of them.';

create view api_failed_items as
select tenant, account, kind, platform, hub_id, remote_id, job_id, category, code, message, failed_at, times, failed_in
from failed_item;
comment on view api_failed_items is
    'What RETRY_FAILED_SYNCS retries. `X = any(failed_in)`: the items of job X that have not been right since.';

-- What is being written right now, by item.
create index written_change_open on written_change (tenant, account, kind, platform, remote_id)
    where written_at is null;
