"""What every service needs: settings, logging, clock, PostgreSQL, migrations, SQL files, Kafka clients."""
