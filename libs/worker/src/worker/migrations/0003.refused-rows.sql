-- Why Kafka never takes a row, such as one that is too large. It stays for people to look at, and holds up nobody.

alter table outbox add column refused text;
