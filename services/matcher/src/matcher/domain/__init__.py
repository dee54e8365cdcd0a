"""What makes two records the same thing. Pure: no I/O, no clock, the same answer for the same records."""
