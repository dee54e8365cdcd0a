"""Reading the log: the broker, its records, and a reader of ranges."""
