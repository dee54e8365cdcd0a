-- name: read_product
-- One statement, so that all records are as of one moment. What scores depend on by its two parts: names, and the rest.
create temp table catalogue_now on commit drop as
select platform as side, variant_id as record_id,
       md5(jsonb_build_array(title, variant_title, model, left(description, 4000))::text)
           || md5(jsonb_build_array(brand, sku, barcode)::text) as digest,
       jsonb_strip_nulls(jsonb_build_object(
           'title', title, 'variant_title', variant_title, 'brand', brand, 'model', model,
           'description', left(description, 4000), 'sku', sku, 'barcode', barcode
       )) as record
from puller.api_products
where tenant = %(tenant)s and account = %(account)s and platform in (%(hub)s, %(platform)s)

-- name: read_customer
create temp table catalogue_now on commit drop as
select side, record_id, md5('') || md5(record::text) as digest, record
from (
    select platform as side, customer_id as record_id,
           jsonb_strip_nulls(jsonb_build_object(
               'name', name, 'phone', phone, 'phones', coalesce(to_jsonb(phones), '[]'), 'email', email,
               'updated_at', updated_at
           )) as record
    from puller.api_customers
    where tenant = %(tenant)s and account = %(account)s and platform in (%(hub)s, %(platform)s)
) customers

-- name: index_catalogue
create unique index on catalogue_now (side, record_id)

-- name: analyze_catalogue
analyze catalogue_now

-- name: changed
select n.side, n.record_id, n.digest, n.record - 'description' - 'model'
from catalogue_now n
left join known_record k
    on k.tenant = %(tenant)s and k.account = %(account)s and k.kind = %(kind)s and k.platform = %(platform)s
   and k.side = n.side and k.record_id = n.record_id
where k.digest is distinct from n.digest
   or %(version)s is distinct from (
       select keys_version from match_memory
       where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
   )

-- name: incoming
create temp table incoming (
    side text, record_id text collate "C", digest text, keys text[], about jsonb
) on commit drop

-- name: put
insert into known_record as k (tenant, account, kind, platform, side, record_id, digest, keys, about)
select %(tenant)s, %(account)s, %(kind)s, %(platform)s, side, record_id, digest, keys, about from incoming
on conflict (tenant, account, kind, platform, side, record_id) do update
set digest = excluded.digest, keys = excluded.keys, about = excluded.about, noticed_at = excluded.noticed_at,
    before_keys = case when k.before_keys is null and k.keys <> excluded.keys then k.keys else k.before_keys end

-- name: note_gone
update known_record k set digest = null, noticed_at = now()
where k.tenant = %(tenant)s and k.account = %(account)s and k.kind = %(kind)s and k.platform = %(platform)s
  and k.digest is not null
  and not exists (select from catalogue_now n where n.side = k.side and n.record_id = k.record_id)

-- name: forget
-- What is gone and was linked stays, so that REPAIR_IDS can find what replaced it.
delete from known_record k
where k.tenant = %(tenant)s and k.account = %(account)s and k.kind = %(kind)s and k.platform = %(platform)s
  and k.digest is null
  and not exists (
      select from match m
      where m.tenant = k.tenant and m.account = k.account and m.kind = k.kind and m.platform = k.platform
        and m.status in ('auto', 'confirmed')
        and case when k.side = k.platform then m.remote_id else m.hub_id end = k.record_id
  )

-- name: next_generation
insert into match_memory as m (tenant, account, kind, platform, keys_version, generation)
values (%(tenant)s, %(account)s, %(kind)s, %(platform)s, %(version)s, 1)
on conflict (tenant, account, kind, platform) do update
set keys_version = excluded.keys_version, generation = m.generation + 1
returning generation

-- name: memory
-- Locked until the transaction ends, so that the known records stay as they are.
select version, settings, snapshot_at, generation, now()
from match_memory
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
for update

-- name: remember
update match_memory
set version = %(version)s, settings = %(settings)s, snapshot_at = %(snapshot_at)s, job_id = %(job_id)s
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s

-- name: mark_scored
update known_record set scored_digest = digest, before_keys = null
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and (scored_digest is distinct from digest or before_keys is not null)

-- name: changes
-- What differs from the stored candidates' records, or was noticed to differ since a time. names: names too.
create temp table changed_record on commit drop as
select side, record_id, keys || coalesce(before_keys, '{}') as keys,
       left(coalesce(digest, ''), 32) <> left(coalesce(scored_digest, ''), 32) as names,
       digest is distinct from scored_digest as differs
from known_record
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and (digest is distinct from scored_digest or (digest is not null and noticed_at >= %(since)s))

-- name: count_changes
select count(*), count(*) filter (where names) from changed_record

-- name: affected_product
-- Records of the hub whose candidates depend on a changed record: by itself, by a key, or by a candidate of theirs.
create temp table affected on commit drop as
with
changed_keys as (
    select coalesce(array_agg(distinct key), '{}') as keys from changed_record, unnest(keys) as key
), near as (
    select side, record_id from known_record, changed_keys c
    where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
      and known_record.keys && c.keys
    union
    select side, record_id from changed_record
), remotes as (
    select coalesce(array_agg(record_id), '{}') as ids from near where side <> %(hub)s
)
select record_id from near where side = %(hub)s
union
select hub_id from candidate_list, remotes
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and remote_ids && remotes.ids

-- name: affected_customer
create temp table affected on commit drop as
with
changed_keys as (
    select coalesce(array_agg(distinct key), '{}') as keys from changed_record, unnest(keys) as key
), near as (
    select side, record_id, known_record.keys from known_record, changed_keys c
    where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
      and known_record.keys && c.keys
), remote_keys as (
    select coalesce(array_agg(distinct key), '{}') as keys from near, unnest(keys) as key where side <> %(hub)s
)
select record_id from near where side = %(hub)s
union
select record_id from changed_record where side = %(hub)s
union
select record_id from known_record k, remote_keys r
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and side = %(hub)s and k.keys && r.keys

-- name: take_all
insert into snapshot (job_id, side, record_id, record)
select %(job_id)s, side, record_id, record from catalogue_now

-- name: take_affected
-- Affected records of the hub with all that their candidates depend on: who shares a key with them, on either side, and
-- who shares a key with those of the channel.
insert into snapshot (job_id, side, record_id, record, context)
with
scope as (
    select side, record_id, keys from known_record
    where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
      and digest is not null
), own_keys as (
    select coalesce(array_agg(distinct key), '{}') as keys
    from scope join affected using (record_id), unnest(keys) as key where side = %(hub)s
), near as (
    select side, record_id, scope.keys from scope, own_keys where scope.keys && own_keys.keys
), remote_keys as (
    select coalesce(array_agg(distinct key), '{}') as keys from near, unnest(keys) as key where side <> %(hub)s
), needed as (
    select side, record_id from near
    union
    select side, record_id from scope, remote_keys where side <> %(hub)s and scope.keys && remote_keys.keys
    union
    select side, record_id from scope join affected using (record_id) where side = %(hub)s
)
select %(job_id)s, side, record_id, record,
       side = %(hub)s and not exists (select from affected a where a.record_id = n.record_id)
from needed join catalogue_now n using (side, record_id)

-- name: sizes
select count(*) filter (where side = %(hub)s), count(*) filter (where side <> %(hub)s) from catalogue_now

-- name: affected_positions
select position from (
    select record_id, row_number() over (order by record_id collate "C") - 1 as position
    from catalogue_now where side = %(hub)s
) hub join affected using (record_id)

-- name: present
-- Which of these records of the hub the catalogue had when it was last read.
select record_id from known_record
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and side = %(hub)s and record_id = any(%(ids)s) and digest is not null

-- name: presence
-- Of each pair: whether its record of the hub, and its record of the channel, were there when the catalogue was last read.
select pair.hub_id, pair.remote_id, h.digest is not null, r.digest is not null
from unnest(%(hub_ids)s::text[], %(remote_ids)s::text[]) as pair (hub_id, remote_id)
left join known_record h
    on h.tenant = %(tenant)s and h.account = %(account)s and h.kind = %(kind)s and h.platform = %(platform)s
   and h.side = %(hub)s and h.record_id = pair.hub_id
left join known_record r
    on r.tenant = %(tenant)s and r.account = %(account)s and r.kind = %(kind)s and r.platform = %(platform)s
   and r.side = %(platform)s and r.record_id = pair.remote_id

-- name: phone_counts
-- Usable numbers of all customers, and the keys that more than %(shared)s customers of one platform have.
with held as (
    select side, key, count(*) as holders
    from known_record, unnest(keys) as key
    where tenant = %(tenant)s and account = %(account)s and kind = 'customer' and platform = %(platform)s
      and digest is not null
    group by 1, 2
)
select coalesce(sum(holders) filter (where key like 'phone %%'), 0)::bigint,
       count(distinct key) filter (where holders > %(shared)s)
from held

-- name: keyed
-- The records that share one of these kinds of keys with a record of the other side, and all of their own side that share
-- one with them.
with held as (
    select side, record_id, key
    from known_record, unnest(keys) as key
    where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
      and digest is not null and split_part(key, ' ', 1) = any(%(kinds)s)
), shared as (
    select key from held group by key having min(side) <> max(side)
), meeting as (
    select distinct side, record_id from held join shared using (key)
), meeting_keys as (
    select distinct side, key from held join meeting using (side, record_id)
), needed as (
    select distinct side, record_id from held join meeting_keys using (side, key)
)
select side, record_id, k.keys, k.about
from known_record k join needed using (side, record_id)
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s

-- name: names
select side, about->>'title', about->>'variant_title'
from known_record
where tenant = %(tenant)s and account = %(account)s and kind = 'product' and platform = %(platform)s
  and digest is not null
