-- name: insert
-- `turn`: the request's time, shifted by how long its priority takes to become urgent. A clock that is ahead gains and
-- loses nothing; one that is behind gains a day at most.
insert into inbox (job_id, tenant, account, job_type, chain, priority, requested_at, request, concurrency_key,
                   concurrency_limit, turn)
values (%(job_id)s, %(tenant)s, %(account)s, %(job_type)s, %(chain)s, %(priority)s, %(requested_at)s, %(request)s,
        %(concurrency_key)s, %(concurrency_limit)s,
        least(greatest(%(requested_at)s, clock_timestamp() - interval '1 day'), clock_timestamp()) + %(ageing)s)
on conflict do nothing

-- name: insert_kept
insert into inbox (job_id, tenant, account, job_type, chain, priority, requested_at, request, concurrency_key,
                   concurrency_limit, turn, waiting_reason, unread_by, kept)
values (%(job_id)s, %(tenant)s, %(account)s, %(job_type)s, %(chain)s, %(priority)s, %(requested_at)s, %(request)s,
        %(concurrency_key)s, %(concurrency_limit)s,
        least(greatest(%(requested_at)s, clock_timestamp() - interval '1 day'), clock_timestamp()) + %(ageing)s,
        %(reason)s, array[%(version)s], true)
on conflict do nothing

-- name: insert_finished
insert into inbox (job_id, tenant, account, job_type, chain, priority, requested_at, request, state, outcome, finished_at)
values (%(job_id)s, %(tenant)s, %(account)s, %(job_type)s, %(chain)s, %(priority)s, %(requested_at)s, %(request)s,
        'finished', %(outcome)s, now())
on conflict do nothing

-- name: keep
-- Undoes the claim: it does not count as an attempt.
update inbox
set state = 'queued', lease_owner = null, lease_until = null, attempt = attempt - 1, waiting_reason = %(reason)s,
    unread_by = array_append(unread_by, %(version)s), kept = true
where job_id = %(job_id)s and attempt = %(attempt)s and lease_owner = %(owner)s and state = 'running'

-- name: correct
-- Undoes the claim of a row whose key or limit is that of another release.
update inbox
set state = 'queued', lease_owner = null, lease_until = null, attempt = attempt - 1,
    concurrency_key = %(concurrency_key)s, concurrency_limit = %(concurrency_limit)s
where job_id = %(job_id)s and attempt = %(attempt)s and lease_owner = %(owner)s and state = 'running'

-- name: renew
-- The leases of the jobs that this process runs, and the control messages for each of them since.
update inbox i
set lease_until = now() + %(lease)s
where i.lease_owner = %(owner)s and i.state = 'running' and i.job_id = any(%(job_ids)s)
returning i.job_id, i.attempt, i.cancel_requested,
    i.paused or exists (
        select from hold h
        where h.kind = 'queue' or (h.kind = 'account' and h.tenant = i.tenant and h.account = i.account)
    ) as paused

-- name: checkpoint
-- Only the cursor and the counters are progress: metadata and total may change without any work done.
update inbox i
set cursor = %(cursor)s, tally = %(counters)s, spent_ms = %(spent_ms)s, stepped = i.stepped or moved.moved,
    crashes = case when moved.moved then 0 else i.crashes end,
    failures = case when moved.moved then 0 else i.failures end,
    suspect = i.suspect and not moved.moved
from (
    select o.job_id,
           coalesce(o.cursor, 'null') <> %(cursor)s::jsonb
           or coalesce(o.tally - '{metadata,total}'::text[], '{"successful": 0, "failed": 0, "skipped": 0, "pending": 0}')
               <> %(counters)s::jsonb - '{metadata,total}'::text[] as moved
    from inbox o
    where o.job_id = %(job_id)s
    for update
) as moved
where i.job_id = moved.job_id and i.attempt = %(attempt)s and i.lease_owner = %(owner)s and i.state = 'running'
returning i.stepped

-- name: finish
-- A finished row stands for a year, so that no replay repeats its work. What only an attempt reads goes.
update inbox
set state = 'finished', outcome = %(outcome)s, finished_at = now(), lease_owner = null, lease_until = null,
    tally = %(counters)s, spent_ms = %(spent_ms)s, request = '', cursor = null
where job_id = %(job_id)s and attempt = %(attempt)s and lease_owner = %(owner)s and state = 'running'

-- name: release
update inbox
set state = 'queued', lease_owner = null, lease_until = null, spent_ms = %(spent_ms)s, failures = %(failures)s,
    not_before = now() + %(wait)s
where job_id = %(job_id)s and attempt = %(attempt)s and lease_owner = %(owner)s and state = 'running'

-- name: defer
-- The counters are those of the checkpoint, with metadata that says what the attempt cost.
update inbox
set state = 'queued', lease_owner = null, lease_until = null, spent_ms = %(spent_ms)s, failures = %(failures)s,
    tally = %(counters)s, not_before = now() + %(wait)s, deferred_reason = %(reason)s,
    deferrals = case when stepped then 0 else deferrals end + 1,
    waited_ms = case when stepped then 0 else waited_ms end + %(waited_ms)s,
    waiting_since = case when stepped then now() else coalesce(waiting_since, now()) end
where job_id = %(job_id)s and attempt = %(attempt)s and lease_owner = %(owner)s and state = 'running'

-- name: see_control
insert into control_seen (event_id) values (%(event_id)s) on conflict do nothing

-- name: find
select 1 from inbox where job_id = %(job_id)s

-- name: cancel_job
update inbox set cancel_requested = %(reason)s
where job_id = %(job_id)s and state <> 'finished' and cancel_requested is null

-- name: cancel_account
update inbox set cancel_requested = %(reason)s
where tenant = %(tenant)s and account = %(account)s and state <> 'finished' and cancel_requested is null

-- name: cancel_queue
update inbox set cancel_requested = %(reason)s where state <> 'finished' and cancel_requested is null

-- name: pause_job
update inbox set paused = %(paused)s where job_id = %(job_id)s and state <> 'finished'

-- name: pause_scope
insert into hold (kind, tenant, account, requested_by, reason)
values (%(kind)s, %(tenant)s, %(account)s, %(requested_by)s, %(reason)s)
on conflict do nothing

-- name: resume_scope
delete from hold where kind = %(kind)s and tenant = %(tenant)s and account = %(account)s

-- name: put_outbox
insert into outbox (topic, key, value) values (%(topic)s, %(key)s, %(value)s)

-- name: take_outbox
-- `blocked`: topics that accept no messages at present.
select id, topic, key, value from outbox
where refused is null and topic <> all(%(blocked)s)
order by id limit %(limit)s
for update skip locked

-- name: replace_outbox
update outbox set value = %(value)s where id = %(id)s

-- name: drop_outbox
delete from outbox where id = any(%(ids)s)

-- name: set_aside
update outbox set refused = %(reason)s where id = %(id)s

-- name: lock_chain
select pg_advisory_xact_lock(
    hashtextextended(%(tenant)s || ' ' || %(account)s || ' ' || %(chain)s || ' ' || %(child_type)s, 0))

-- name: note_parent
insert into chain_note (tenant, account, chain, child_type, parent_type, parent_id, outcome, finished_at, appended_at)
values (%(tenant)s, %(account)s, %(chain)s, %(child_type)s, %(parent_type)s, %(parent_id)s, %(outcome)s,
        %(finished_at)s, %(appended_at)s)
on conflict do nothing

-- name: latest_parents
-- By append time: the end of a retry is appended behind the end of the first run; workers' clocks may disagree.
select distinct on (parent_type) parent_type, parent_id, outcome, finished_at
from chain_note
where tenant = %(tenant)s and account = %(account)s and chain = %(chain)s and child_type = %(child_type)s
  and parent_type = any(%(needs)s)
order by parent_type, appended_at desc, parent_id desc

-- name: note_child
insert into chain_child (job_id) values (%(job_id)s) on conflict do nothing

-- name: keep_step
insert into kept_step (parent_id, tenant, account, chain, child_types, finished, appended_at)
values (%(parent_id)s, %(tenant)s, %(account)s, %(chain)s, %(child_types)s, %(finished)s, %(appended_at)s)
on conflict (parent_id) do update set child_types = excluded.child_types

-- name: take_kept_steps
delete from kept_step where parent_id = any (array(
    select parent_id from kept_step where not child_types <@ %(unknown)s for update skip locked limit 100))
returning finished, appended_at

-- name: kept_types
select distinct unnest(child_types) from kept_step

-- name: drop_kept_job
delete from kept_step where parent_id = %(job_id)s

-- name: drop_kept_account
delete from kept_step where tenant = %(tenant)s and account = %(account)s

-- name: drop_kept_queue
delete from kept_step
