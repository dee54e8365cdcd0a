"""PostgreSQL: connections, positions, SQL files and migrations."""
