"""The worker loop: requests become rows, rows are claimed under a lease, jobs run and resume from checkpoints.

intake.py    Kafka to inbox rows, control messages
steps.py     the next steps of chains; those of unknown types are kept
inbox.py     the rows: claim, renew, checkpoint, finish, crashes (SQL in sql/inbox.sql)
outbox.py    what must reach Kafka, written in the same transaction as its cause
letters.py   messages that cannot be used
chain.py     which job follows which, pure
ends.py      ends of jobs that no attempt writes, and ends that fit into a message, pure
lifecycle.py the events of an attempt, and how it ends
job.py       what a job's own code sees: pages, counters, waiting
isolation.py a job that may have crashed a process runs alone
retention.py how long finished work is remembered
loop.py      the threads
"""
