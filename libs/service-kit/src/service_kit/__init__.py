"""What every service needs: settings, bootstrap, clock, PostgreSQL, migrations, SQL files, Kafka clients."""
