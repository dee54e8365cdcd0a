-- name: put
insert into exchange (job_id, batch, method, url, request_body, status, response_body, duration_ms, error)
values (%(job_id)s, %(batch)s, %(method)s, %(url)s, %(request_body)s, %(status)s, %(response_body)s,
        %(duration_ms)s, %(error)s)

-- name: prune
with old as (
    select id from exchange where at < now() - %(keep)s order by at limit %(rows)s
)
delete from exchange e using old where e.id = old.id
