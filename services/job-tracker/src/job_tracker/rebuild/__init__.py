"""Rebuilds the job table from the log in a shadow, compares both, and swaps them."""
