-- Chains of different tenants and accounts may bear one name. Which parent of a type is the newest is a question of
-- when Kafka took its end, not of the clock of the worker that ran it.

alter table chain_note
    add column tenant text not null default '',
    add column account text not null default '',
    add column appended_at timestamptz not null default now();

update chain_note set appended_at = finished_at;

alter table chain_note
    drop constraint chain_note_pkey,
    add primary key (tenant, account, chain, child_type, parent_type, parent_id);
