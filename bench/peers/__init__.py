"""The peers: what people use today to bring events from Kafka into a table, each set up as its makers advise."""
