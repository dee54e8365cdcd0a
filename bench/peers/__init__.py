"""The peers: common ways to bring events from Kafka into a table, each configured as its makers advise."""
