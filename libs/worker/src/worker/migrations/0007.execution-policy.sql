-- What decides whether and when a row may run is kept in columns, so that a claim reads only rows that may run.

alter table inbox
    -- Jobs of one account with the same key exclude each other; null = a process of an older release inserted the row:
    -- it counts as the job type until a process of this release has set it.
    add column concurrency_key text,
    -- How many of the key may run at a time.
    add column concurrency_limit smallint not null default 1 check (concurrency_limit > 0),
    -- When the job counts as urgent: rows are claimed in this order. Set together with the key.
    add column turn timestamptz,
    -- No version that has looked at the request can read it, so it waits for another one.
    add column kept boolean not null default false,
    -- Attempts in a row that gave their thread back to wait, and moved no checkpoint; since when, how long they waited.
    add column deferrals integer not null default 0 check (deferrals >= 0),
    add column waiting_since timestamptz,
    add column waited_ms bigint not null default 0 check (waited_ms >= 0),
    add column deferred_reason text;

create view claimable as
select job_id, tenant, account, job_type, concurrency_key, concurrency_limit, turn, unread_by
from inbox
where state = 'queued' and not paused and not kept and not_before is null and cancel_requested is null
  and concurrency_key is not null;

-- The predicate is that of the view.
create index inbox_claimable on inbox (tenant, account, concurrency_key, turn, job_id)
where state = 'queued' and not paused and not kept and not_before is null and cancel_requested is null
  and concurrency_key is not null;
create index inbox_ending on inbox (requested_at, job_id)
where state = 'queued' and (cancel_requested is not null or crashes > 0);
create index inbox_deferred on inbox (not_before) where state = 'queued' and not_before is not null;
create index inbox_kept on inbox (job_id) where state = 'queued' and kept;
create index inbox_unkeyed on inbox (job_id) where state <> 'finished' and concurrency_key is null;

-- One row per account: how many jobs of it run, and the turn of the first that may run; null = none may. Derived from
-- inbox and hold by the triggers below, so that it is right beside processes of an older release, too. Whoever starts
-- a job locks the row first, so that the limits hold exactly.
create table account_queue (
    tenant    text not null,
    account   text not null,
    running   integer not null default 0,
    next_turn timestamptz,
    -- The transaction that derived the row last: once is enough, because it does so at its commit.
    refreshed_in xid8,
    primary key (tenant, account)
);

create index account_queue_turn on account_queue (next_turn, tenant, account) where next_turn is not null;

create function running_of_key(of_tenant text, of_account text, of_key text) returns bigint
language sql stable set search_path from current as $$
    select count(*) from inbox r
    where r.state = 'running' and r.tenant = of_tenant and r.account = of_account
      and coalesce(r.concurrency_key, r.job_type) = of_key
$$;

-- The first claimable row of each key of an account that is below its limit. One index descent per key, however many
-- rows wait behind the first. types, version: only rows that this process can run; null = any.
create function claimable_heads(of_tenant text, of_account text, types text[], version text)
returns table (job_id text, turn timestamptz)
language sql stable rows 5 set search_path from current as $$
    with recursive head as (
        (
            select c.concurrency_key, c.concurrency_limit, c.turn, c.job_id
            from claimable c
            where c.tenant = of_tenant and c.account = of_account
              and (types is null or c.job_type = any(types)) and (version is null or version <> all(c.unread_by))
            order by c.concurrency_key, c.turn, c.job_id
            limit 1
        )
        union all
        select following.*
        from head cross join lateral (
            select c.concurrency_key, c.concurrency_limit, c.turn, c.job_id
            from claimable c
            where c.tenant = of_tenant and c.account = of_account and c.concurrency_key > head.concurrency_key
              and (types is null or c.job_type = any(types)) and (version is null or version <> all(c.unread_by))
            order by c.concurrency_key, c.turn, c.job_id
            limit 1
        ) as following
    )
    select head.job_id, head.turn from head
    where head.concurrency_limit > running_of_key(of_tenant, of_account, head.concurrency_key)
$$;

create function lock_account(of_tenant text, of_account text) returns void
language plpgsql set search_path from current as $$
begin
    insert into account_queue (tenant, account) values (of_tenant, of_account) on conflict do nothing;
    perform from account_queue q where q.tenant = of_tenant and q.account = of_account for update;
end
$$;

create function refresh_account(of_tenant text, of_account text) returns void
language plpgsql set search_path from current as $$
declare
    now_running integer;
    first_turn timestamptz;
begin
    perform lock_account(of_tenant, of_account);
    if exists (
        select from account_queue q
        where q.tenant = of_tenant and q.account = of_account and q.refreshed_in = pg_current_xact_id()
    ) then
        return;
    end if;
    -- Statements behind the lock see what its last holder has committed.
    now_running := (
        select count(*) from inbox r where r.state = 'running' and r.tenant = of_tenant and r.account = of_account
    );
    if not exists (
        select from hold h where h.kind = 'account' and h.tenant = of_tenant and h.account = of_account
    ) then
        first_turn := (select min(h.turn) from claimable_heads(of_tenant, of_account, null, null) h);
    end if;
    update account_queue q set running = now_running, next_turn = first_turn, refreshed_in = pg_current_xact_id()
    where q.tenant = of_tenant and q.account = of_account;
end
$$;

create function inbox_changed() returns trigger language plpgsql set search_path from current as $$
begin
    perform refresh_account(new.tenant, new.account);
    return null;
end
$$;

create function hold_changed() returns trigger language plpgsql set search_path from current as $$
declare
    changed hold%rowtype;
begin
    changed := case when tg_op = 'DELETE' then old else new end;
    if changed.kind = 'account' then
        perform refresh_account(changed.tenant, changed.account);
    end if;
    return null;
end
$$;

-- At the commit, so that a transaction holds no account while it waits for rows.
create constraint trigger inbox_inserted after insert on inbox deferrable initially deferred
for each row when (new.state = 'running' or (new.state = 'queued' and new.concurrency_key is not null and not new.kept))
execute function inbox_changed();

create constraint trigger inbox_updated
after update of state, paused, cancel_requested, not_before, kept, concurrency_key, concurrency_limit on inbox
deferrable initially deferred
for each row when (
    (old.state, old.paused, old.cancel_requested is null, old.not_before is null, old.kept, old.concurrency_key,
     old.concurrency_limit)
    is distinct from
    (new.state, new.paused, new.cancel_requested is null, new.not_before is null, new.kept, new.concurrency_key,
     new.concurrency_limit)
)
execute function inbox_changed();

create constraint trigger hold_changed after insert or delete on hold deferrable initially deferred
for each row execute function hold_changed();

-- A process of an older release claims by the job type alone, and without the account's lock. A row above the limit of
-- its key is not started: the update has no effect. An attempt that only writes an end keeps its number.
create function keep_limit() returns trigger language plpgsql set search_path from current as $$
begin
    perform lock_account(new.tenant, new.account);
    if running_of_key(new.tenant, new.account, coalesce(new.concurrency_key, new.job_type)) >= new.concurrency_limit then
        return null;
    end if;
    return new;
end
$$;

create trigger inbox_start before update of state on inbox
for each row when (old.state = 'queued' and new.state = 'running' and new.attempt > old.attempt)
execute function keep_limit();

create or replace view api_inbox as
select job_id, tenant, account, job_type, priority, state, paused, cancel_requested, requested_at, received_at,
       lease_owner, lease_until, attempt, crashes, failures, not_before, waiting_reason, concurrency_key,
       deferred_reason, waiting_since
from inbox;
