"""The `jobtrail` command: accounts, jobs, checks, and the whole system on one machine."""
