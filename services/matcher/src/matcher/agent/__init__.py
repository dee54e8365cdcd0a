"""The Faust side: processes that score chunks. They hold no state; every result goes to its chunk's row, once.

app.py       the Faust app and its one agent
pool.py      the process that computes, so that the event loop stays free
scoring.py   what that process does with one chunk
watchdog.py  ends a process that stands still
exit.py      ends a process at once
"""
