"""Finished days of the log as compressed files, from which every message comes back byte for byte."""
