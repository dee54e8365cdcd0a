"""From the log to the tables by one commit protocol; each projection says only what it writes."""
