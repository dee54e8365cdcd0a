"""The scheduler: which jobs are due when, as rows of the tracker, and their requests to Kafka."""
