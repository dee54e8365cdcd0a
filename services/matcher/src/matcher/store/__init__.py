"""The schema `matcher`, and what it reads of other schemas. SQL by name in `sql/`."""
