"""The agents: Faust processes that score chunks. They keep no state; each result is written once, to its chunk's row.

app.py       the Faust app and its one agent
pool.py      the process that computes, so that the event loop stays free
scoring.py   what that process does with one chunk
watchdog.py  ends a stalled process
exit.py      ends a process at once
"""
