"""The job table once more from the log: beside the live one, compared with it, and put in its place."""
