"""The projections: each turns records of the log into rows of its tables, all by one commit protocol."""
