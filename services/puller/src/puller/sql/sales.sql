-- name: compare_sales
select i.document_id,
       case
           when d.document_id is null then 'created'
           when d.seen_by_job = %(job_id)s then 'repeated'
           when d.content_hash <> i.content_hash then 'updated'
           else 'unchanged'
       end as verdict,
       d.content_hash is distinct from i.content_hash as write
from unnest(%(document_ids)s::text[], %(hashes)s::text[]) as i (document_id, content_hash)
left join sales_document d
    on d.tenant = %(tenant)s and d.account = %(account)s and d.platform = %(platform)s and d.kind = %(kind)s
   and d.document_id = i.document_id

-- name: see_sales
update sales_document set seen_by_job = %(job_id)s
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
  and document_id = any(%(document_ids)s) and seen_by_job <> %(job_id)s

-- name: put_sales
-- An order that changed after its deletion was restored.
insert into sales_document as d
    (tenant, account, platform, kind, document_id, order_id, depot_id, customer_id, type, type_word, status,
     status_word, channel, channel_word, total, currency, discount, ship_fee, dated, created_at, updated_at,
     content_hash, seen_by_job, changed_at)
select %(tenant)s, %(account)s, %(platform)s, %(kind)s, document_id, order_id, depot_id, customer_id, type, type_word,
       status, status_word, channel, channel_word, total, currency, discount, ship_fee, dated, created_at, updated_at,
       content_hash, %(job_id)s, now()
from json_to_recordset(%(rows)s::json) as i
    (document_id text, order_id text, depot_id text, customer_id text, type integer, type_word text, status integer,
     status_word text, channel integer, channel_word text, total numeric, currency text, discount numeric,
     ship_fee numeric, dated date, created_at timestamptz, updated_at timestamptz, content_hash text)
on conflict (tenant, account, platform, kind, document_id) do update
set order_id = excluded.order_id, depot_id = excluded.depot_id, customer_id = excluded.customer_id,
    type = excluded.type, type_word = excluded.type_word, status = excluded.status,
    status_word = excluded.status_word, channel = excluded.channel, channel_word = excluded.channel_word,
    total = excluded.total, currency = excluded.currency, discount = excluded.discount, ship_fee = excluded.ship_fee,
    dated = excluded.dated, created_at = excluded.created_at, updated_at = excluded.updated_at,
    content_hash = excluded.content_hash, seen_by_job = excluded.seen_by_job, changed_at = excluded.changed_at,
    deleted_at = case when excluded.updated_at > d.deleted_at then null else d.deleted_at end

-- name: drop_lines
delete from sales_line
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
  and document_id = any(%(document_ids)s)

-- name: put_lines
insert into sales_line
    (tenant, account, platform, kind, document_id, line, product_id, code, name, quantity, price, discount,
     vat_percent, total)
select %(tenant)s, %(account)s, %(platform)s, %(kind)s, document_id, line, product_id, code, name, quantity, price,
       discount, vat_percent, total
from json_to_recordset(%(rows)s::json) as i
    (document_id text, line integer, product_id text, code text, name text, quantity numeric, price numeric,
     discount numeric, vat_percent numeric, total numeric)

-- name: mark_deleted
update sales_document d
set deleted_at = i.deleted_at, changed_at = now()
from json_to_recordset(%(rows)s::json) as i (document_id text, deleted_at timestamptz)
where d.tenant = %(tenant)s and d.account = %(account)s and d.platform = %(platform)s and d.kind = %(kind)s
  and d.document_id = i.document_id
  and d.deleted_at is distinct from i.deleted_at
  and coalesce(d.updated_at <= i.deleted_at, true)

-- name: oldest_change
select min(changed_at) from sales_document
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
