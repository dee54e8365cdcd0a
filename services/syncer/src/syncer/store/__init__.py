"""Everything this service keeps in PostgreSQL, and the views of other rooms that it reads."""
