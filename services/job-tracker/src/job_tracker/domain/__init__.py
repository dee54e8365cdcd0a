"""The rules of the tracker, without I/O."""
