-- What a reconcile finds: each field that differs, since when, and the figures of the last run of an account's channel.

-- since: when a reconcile first found the field to differ. A row is deleted as soon as one finds it equal.
create table drift (
    tenant    text not null,
    account   text not null,
    platform  text not null,
    remote_id text collate "C" not null,
    field     text not null,
    hub_id    text collate "C" not null,
    since     timestamptz not null default now(),
    primary key (tenant, account, platform, remote_id, field)
);

-- The last run that has compared all linked products; one that was limited to chosen ids does not count.
create table reconciliation (
    tenant       text not null,
    account      text not null,
    platform     text not null,
    job_id       text collate "C" not null,
    completed_at timestamptz not null,
    checked      integer not null check (checked >= 0),
    drifted      integer not null check (drifted >= 0),
    drift_stock  integer not null check (drift_stock >= 0),
    drift_price  integer not null check (drift_price >= 0),
    missing      integer not null check (missing >= 0),
    not_compared integer not null check (not_compared >= 0),
    oldest_since timestamptz,
    primary key (tenant, account, platform)
);

create view api_reconciliations as
select tenant, account, platform, job_id, completed_at, checked, drifted, drift_stock, drift_price, missing, not_compared,
       oldest_since
from reconciliation;
comment on view api_reconciliations is
    'The last complete comparison of hub and channel. checked: linked products that were compared; drifted: those that '
    'differ, drift_stock and drift_price by what; missing: those that hub or channel no longer has; not_compared: '
    'those that could not be compared; oldest_since: the earliest time at which a present difference was first found.';
