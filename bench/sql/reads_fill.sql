-- name: functions
-- Everything is a function of the row's number, so that a size always gives the same rows.
CREATE FUNCTION pg_temp.chance(n bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE RETURN (hashint8extended(n, salt) & 1048575) / 1048576.0;

-- Ids that grow with time, as the API's own do.
CREATE FUNCTION pg_temp.job_name(n bigint) RETURNS text
LANGUAGE sql IMMUTABLE RETURN overlay(overlay(overlay(overlay(
    lpad(to_hex(n), 12, '0') || '7' || substr(md5(n::text), 1, 19)
    PLACING '-' FROM 9 FOR 0) PLACING '-' FROM 14 FOR 0) PLACING '-' FROM 19 FOR 0) PLACING '-' FROM 24 FOR 0);

-- Chains of three jobs. One tenant has most of them; the others differ by size.
CREATE FUNCTION pg_temp.tenant_of(chain bigint) RETURNS text
LANGUAGE sql IMMUTABLE RETURN 'tenant-' || CASE WHEN pg_temp.chance(chain, 1) < 0.6 THEN '01'
    ELSE lpad((2 + floor(19 * pg_temp.chance(chain, 2) ^ 2))::text, 2, '0') END;

CREATE FUNCTION pg_temp.account_of(chain bigint) RETURNS text
LANGUAGE sql IMMUTABLE RETURN 'shop-' || (1 + floor(4 * pg_temp.chance(chain, 3) ^ 2))::text;

CREATE FUNCTION pg_temp.type_of(n bigint) RETURNS text
LANGUAGE sql IMMUTABLE RETURN (ARRAY['PULL_NHANH_PRODUCTS', 'PULL_SHOPIFY_PRODUCTS', 'AUTO_MATCH_PRODUCTS',
    'PRODUCT_SYNC', 'PULL_NHANH_CUSTOMERS', 'PULL_SHOPIFY_CUSTOMERS', 'AUTO_MATCH_CUSTOMERS', 'CUSTOMER_SYNC'
    ])[1 + floor(8 * pg_temp.chance(n, 4) ^ 1.5)::int];

-- name: accounts
-- Instead: 250 tenants with four accounts each, which take turns.
CREATE OR REPLACE FUNCTION pg_temp.tenant_of(chain bigint) RETURNS text
LANGUAGE sql IMMUTABLE RETURN 'tenant-' || lpad((1 + chain % 1000 / 4)::text, 3, '0');

CREATE OR REPLACE FUNCTION pg_temp.account_of(chain bigint) RETURNS text
LANGUAGE sql IMMUTABLE RETURN 'shop-' || (1 + chain % 4)::text;

-- name: jobs
-- Numbers from first to last of `jobs` in all, spread evenly over `days` until `until`.
INSERT INTO tracker.job (
    job_id, r_time, r_id, r_body, tenant, account, job_type, chain, parent, batch, priority, retry_of, requested_by,
    s_attempt, s_seq, s_body, s_at, s_worker, s_total,
    p_attempt, p_seq, p_body, p_at, p_phase, p_total, p_processed, p_successful, p_failed, p_skipped,
    e_attempt, e_seq, e_body, e_at, e_outcome, e_total, e_processed, e_successful, e_failed, e_skipped, e_duration_ms,
    e_error_category
)
SELECT
    job_id, r_time, job_id || '/request',
    '{"job":{"type":"' || job_type || '","account":"' || account || '"},"params":{"page_size":' || n %% 250
        || '},"priority":"normal","requested_by":"Lan","then":[]}',
    tenant, account, job_type, chain,
    CASE WHEN n %% 3 > 0 THEN pg_temp.job_name(n - 1) END, 'batch-' || n / 1000, 'normal',
    CASE WHEN n %% 3 = 0 AND n %% 150 = 0 AND n >= 300 THEN pg_temp.job_name(n - 300) END, 'Lan',
    CASE WHEN begun THEN 0 ELSE -1 END, CASE WHEN begun THEN 1 ELSE -1 END,
    CASE WHEN begun THEN '{"worker":"worker-' || n %% 8 || '","total":500}' ELSE '' END,
    CASE WHEN begun THEN r_time + interval '2 seconds' END, CASE WHEN begun THEN 'worker-' || n %% 8 END,
    CASE WHEN begun THEN 500 END,
    CASE WHEN begun THEN 0 ELSE -1 END, CASE WHEN begun THEN 2 ELSE -1 END,
    CASE WHEN begun THEN '{"metadata":{"pages":7,"created":120,"updated":80,"cursor":"' || md5(n::text) || '"}}'
        ELSE '' END,
    CASE WHEN begun THEN r_time + interval '20 seconds' END, CASE WHEN begun THEN 'writing' END,
    CASE WHEN begun THEN 500 END, CASE WHEN begun THEN 250 END, CASE WHEN begun THEN 248 END,
    CASE WHEN begun THEN 2 END, CASE WHEN begun THEN 0 END,
    CASE WHEN ended THEN 0 ELSE -1 END, CASE WHEN ended THEN 3 ELSE -1 END,
    CASE WHEN ended THEN '{"outcome":"' || outcome || '","metadata":{"pages":14,"created":240,"updated":160},"then":[]}'
        ELSE '' END,
    CASE WHEN ended THEN r_time + interval '40 seconds' END, CASE WHEN ended THEN outcome END,
    CASE WHEN ended THEN 500 END, CASE WHEN ended THEN 500 END, CASE WHEN ended THEN 496 END,
    CASE WHEN ended THEN 4 END, CASE WHEN ended THEN 0 END, CASE WHEN ended THEN 38000 END,
    CASE WHEN ended AND outcome = 'timeout' THEN 'TIMEOUT' WHEN ended AND outcome = 'error' THEN 'INTERNAL' END
FROM (
    SELECT n, pg_temp.job_name(n) AS job_id, pg_temp.tenant_of(n / 3) AS tenant, pg_temp.account_of(n / 3) AS account,
           pg_temp.type_of(n) AS job_type, 'chain-' || md5((n / 3)::text) AS chain,
           %(until)s::timestamptz - (%(jobs)s - n) * (%(days)s * interval '1 day' / %(jobs)s) AS r_time,
           n < %(jobs)s * 0.999 AS begun, n < %(jobs)s * 0.998 AS ended,
           CASE WHEN dice < 0.86 THEN 'success' WHEN dice < 0.91 THEN 'partial' WHEN dice < 0.94 THEN 'failure'
                WHEN dice < 0.95 THEN 'error' WHEN dice < 0.96 THEN 'timeout' WHEN dice < 0.98 THEN 'cancelled'
                ELSE 'skipped' END AS outcome
    FROM (SELECT n, pg_temp.chance(n, 5) AS dice FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS rolled
) AS made

-- name: histories
-- Fifteen events of every hundredth job.
INSERT INTO tracker.event (
    appended_at, topic, partition, "offset", job_id, event_id, type, at, source, tenant, chain, job_type, account,
    attempt, seq, phase, total, processed, successful, failed, skipped, body
)
SELECT created_at + k * interval '2 seconds', 'jobs.events', 0, n * 15 + k, job_id, job_id || '/0/' || k,
       'job.progress.v1', created_at + k * interval '2 seconds', 'jobtrail/puller/1', tenant, chain, job_type, account,
       0, k, 'writing', 500, k * 30, k * 30, 0, 0, '{"metadata":{"pages":' || k || '}}'
FROM generate_series(0, %(jobs)s - 1, 100) AS n JOIN tracker.job ON job_id = pg_temp.job_name(n),
     generate_series(1, 15) AS k

-- name: items
-- A hundred items of every thousandth job; one job has a hundredth of all.
INSERT INTO tracker.item (
    event_id, topic, partition, "offset", appended_at, job_id, at, tenant, account, job_type, attempt, item, action,
    response_ms, worker, body
)
SELECT job_id || '/sku-' || k || '/0', 'jobs.items', 0, n * 100 + k, created_at + k * interval '10 ms', job_id,
       created_at + k * interval '10 ms', tenant, account, job_type, 0, 'sku-' || k, 'updated', 120, 'worker-1',
       '{"data":{"ids":{"nhanh":"' || k || '","shopify":"gid://shopify/Product/' || k || '"},"changes":["price"]}}'
FROM generate_series(0, %(jobs)s - 1, 1000) AS n JOIN tracker.job ON job_id = pg_temp.job_name(n),
     generate_series(1, CASE WHEN n = 0 THEN greatest(100, %(jobs)s / 100) ELSE 100 END) AS k

-- name: dead_letters
-- So many at least that a page of one service's is full.
INSERT INTO tracker.dead_letter (topic, partition, "offset", consumer, appended_at, reason, key, value, value_bytes)
SELECT 'jobs.events', n %% 6, n, (ARRAY['job-tracker', 'puller', 'syncer'])[1 + n %% 3],
       %(until)s::timestamptz - n * interval '1 minute', 'is no JSON: unexpected end of data', 'k', '\xff7b22', 3
FROM generate_series(1, greatest(1000, %(jobs)s / 1000)) AS n

-- name: products
WITH made AS (
    SELECT n, pg_temp.tenant_of(n) AS tenant, pg_temp.account_of(n) AS account,
           CASE WHEN n %% 2 = 0 THEN 'nhanh' ELSE 'shopify' END AS platform, n::text AS id
    FROM generate_series(1, %(records)s) AS n
),
records AS (
    INSERT INTO puller.record (tenant, account, platform, kind, record_id, content_hash, seen_by_job, seen_at, changed_at)
    SELECT tenant, account, platform, 'product', id, md5(id), 'job', %(until)s, %(until)s FROM made
),
products AS (
    INSERT INTO puller.product (tenant, account, platform, product_id, title, brand)
    SELECT tenant, account, platform, id, 'Áo thun cổ tròn ' || id, 'brand-' || n %% 100 FROM made
)
INSERT INTO puller.variant (tenant, account, platform, variant_id, record_id, product_id, name, sku, price, prices)
SELECT tenant, account, platform, id, id, id, 'Áo thun cổ tròn ' || id, 'SKU-' || id, 120000, '{}' FROM made

-- name: customers
WITH made AS (
    SELECT n, pg_temp.tenant_of(n) AS tenant, pg_temp.account_of(n) AS account,
           CASE WHEN n %% 2 = 0 THEN 'nhanh' ELSE 'shopify' END AS platform, n::text AS id
    FROM generate_series(1, %(records)s) AS n
),
records AS (
    INSERT INTO puller.record (tenant, account, platform, kind, record_id, content_hash, seen_by_job, seen_at, changed_at)
    SELECT tenant, account, platform, 'customer', id, md5(id), 'job', %(until)s, %(until)s FROM made
)
INSERT INTO puller.customer (tenant, account, platform, customer_id, name, phone, phones, email, city, totals)
SELECT tenant, account, platform, id, 'Nguyễn Thị ' || id, '09' || lpad(id, 8, '0'), '{}', id || '@example.vn',
       'Hà Nội', '{}' FROM made

-- name: matches
INSERT INTO matcher.match (tenant, account, kind, hub_id, remote_id, status, method, score, job_id)
SELECT pg_temp.tenant_of(n), pg_temp.account_of(n), 'product', n::text, (n + 1)::text, 'auto', 'sku', 1, 'job'
FROM generate_series(1, %(records)s) AS n

-- name: rollups
INSERT INTO tracker.rollup (
    tenant, account, job_type, status, day, jobs, processed, successful, failed, skipped, duration_ms
)
SELECT * FROM tracker.counted_rollups()
