-- name: both_present
-- How many of the pairs have both their records in the snapshot.
select count(*)
from unnest(%(hub_ids)s::text[], %(remote_ids)s::text[]) as pair (hub_id, remote_id)
where exists (select from snapshot where job_id = %(job_id)s and side = %(hub)s and record_id = hub_id)
  and exists (select from snapshot where job_id = %(job_id)s and side = %(platform)s and record_id = remote_id)

-- name: presence
-- Of each pair: whether the snapshot has its record of the hub, and its record of the channel.
select pair.hub_id, pair.remote_id, h.record_id is not null, r.record_id is not null
from unnest(%(hub_ids)s::text[], %(remote_ids)s::text[]) as pair (hub_id, remote_id)
left join snapshot h on h.job_id = %(job_id)s and h.side = %(hub)s and h.record_id = pair.hub_id
left join snapshot r on r.job_id = %(job_id)s and r.side = %(platform)s and r.record_id = pair.remote_id

-- name: records
select side, record_id, record from snapshot where job_id = %(job_id)s

-- name: drop
delete from snapshot where job_id = %(job_id)s

-- name: drop_finished
-- Snapshots of jobs that were cancelled or broke off.
delete from snapshot s using api_inbox i where i.job_id = s.job_id and i.state = 'finished'

-- name: product_exists
select exists (
    select from puller.api_products
    where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and variant_id = %(record_id)s
)

-- name: customer_exists
select exists (
    select from puller.api_customers
    where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and customer_id = %(record_id)s
)
