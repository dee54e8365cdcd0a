-- name: insert
insert into chunk (job_id, chunk_no, first_position, last_position)
values (%(job_id)s, %(chunk_no)s, %(first)s, %(last)s)

-- name: state
-- Overdue: put back by an agent, or no chunk of the job was sent or finished for some time, which doubles with each
-- sending, so that a long queue is not sent again and again.
with newest as (select max(finished_at) as finished_at from chunk where job_id = %(job_id)s)
select count(*) as total,
       count(c.finished_at) as finished,
       coalesce(sum(c.last_position - c.first_position + 1) filter (where c.finished_at is not null), 0)::bigint as scored,
       min(c.failure) as failure,
       coalesce(array_agg(c.chunk_no order by c.chunk_no) filter (where c.finished_at is null and (
           c.sent_at = '-infinity'
           or greatest(c.sent_at, n.finished_at)
              + least(%(overdue)s * 2 ^ least(c.times_sent - 1, 10), interval '10 minutes') <= now()
       )), '{}') as overdue
from chunk c cross join newest n
where c.job_id = %(job_id)s

-- name: resend
update chunk set times_sent = times_sent + 1, sent_at = now()
where job_id = %(job_id)s and chunk_no = any(%(numbers)s) and finished_at is null
returning chunk_no

-- name: results
select result from chunk where job_id = %(job_id)s order by chunk_no

-- name: all_of_version
select coalesce(bool_and(version is not distinct from %(version)s), true) from chunk where job_id = %(job_id)s

-- name: begin
-- No row where the chunk is finished or its job has ended. held: its job is paused.
update chunk c
set tries = c.tries + 1
from job_state i
where c.job_id = %(job_id)s and c.chunk_no = %(chunk_no)s and c.finished_at is null
  and i.job_id = c.job_id and i.state <> 'finished' and i.cancel_requested is null
returning i.job_type, c.first_position, c.last_position, c.tries, i.paused as held

-- name: put_back
update chunk set sent_at = '-infinity', tries = tries - 1
where job_id = %(job_id)s and chunk_no = %(chunk_no)s and finished_at is null

-- name: write
-- The first result stays.
update chunk
set result = %(result)s, finished_at = now(), finished_by = %(agent)s, version = %(version)s
where job_id = %(job_id)s and chunk_no = %(chunk_no)s and finished_at is null

-- name: fail
update chunk
set failure = %(failure)s, finished_at = now(), finished_by = %(agent)s
where job_id = %(job_id)s and chunk_no = %(chunk_no)s and finished_at is null

-- name: drop_old
delete from chunk c using job_state i
where i.job_id = c.job_id and i.state = 'finished' and i.finished_at < now() - interval '14 days'
