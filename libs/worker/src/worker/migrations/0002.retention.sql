-- What retention looks for.

create index inbox_age on inbox (received_at) where state = 'finished';
create index control_age on control_seen (seen_at);
create index chain_note_age on chain_note (finished_at);
create index chain_child_age on chain_child (made_at);
