"""The job runtime: requests become rows, rows are claimed under a lease, jobs run and resume from checkpoints.

In reading order; what is pure comes first:

errors.py            every error of the runtime
job_result.py        counters of a job, and the result with which it ends
chain.py             which job follows which
ends.py              finished events that no attempt writes
eligibility.py       key, limit and turn of a row: whether and when it may run
deferral.py          how long a row sleeps that waits, and when it has waited for long enough
inbox.py             the rows: insert, renew, checkpoint, defer, finish (SQL in sql/inbox.sql)
claims.py            which row runs next, and crashes (SQL in sql/claims.sql)
dead_letters.py      messages that a consumer cannot use
outbox.py            messages for Kafka, written in the transaction of their cause
steps.py             the steps of chains: finished parents are noted, the child is requested
request_consumer.py  Kafka to inbox rows; control messages
retention.py         how long finished work is remembered
progress.py          progress events, coalesced
job.py               what a job's own code uses: checkpoints, counters, waiting
lifecycle.py         the lifecycle events of an attempt
isolation.py         a job that may have crashed a process runs alone
attempt.py           runs an attempt, and decides what becomes of its row
loop.py              the threads
service.py           the start of a service
"""
