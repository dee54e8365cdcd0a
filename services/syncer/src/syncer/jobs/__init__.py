"""How a sync runs: plan, stop if it is too much, then batch by batch."""
