"""What the platforms' JSON means. Pure: no I/O."""
