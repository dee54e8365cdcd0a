"""The benchmarks: Jobtrail, its peers, and the limits of the machine, all in one run."""
