"""The worker loop: requests become rows, rows are claimed under a lease, jobs run and resume from checkpoints.

intake.py    Kafka to inbox rows, control messages, the next steps of chains
inbox.py     the rows: claim, renew, checkpoint, finish (SQL in sql/inbox.sql)
outbox.py    what must reach Kafka, written in the same transaction as its cause
letters.py   messages that cannot be used
chain.py     which job follows which, pure
job.py       what a job's own code sees: pages, counters, waiting
retention.py how long finished work is remembered
loop.py      the threads
"""
