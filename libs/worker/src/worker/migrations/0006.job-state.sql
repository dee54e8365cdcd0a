-- The state of each job for the other tables of its service, which do not read the tables of the worker library.

create view job_state as
select i.job_id, i.job_type, i.state, i.cancel_requested, i.finished_at,
       i.paused or exists (
           select from hold h
           where h.kind = 'queue' or (h.kind = 'account' and h.tenant = i.tenant and h.account = i.account)
       ) as paused
from inbox i;
