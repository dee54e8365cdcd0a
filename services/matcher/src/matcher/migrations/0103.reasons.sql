-- Why a pair waits for a person, and which pairs were linked before: a link that moves must not move silently.

alter table match add column reason text;
comment on column match.reason is
    'One sentence: why the pair waits for a person; null unless status is review. Of customers it quotes ids alone.';

create or replace view api_matches as
select tenant, account, kind, nhanh_id, shopify_id, status, method, score, job_id, updated_at, reason
from match;

create table former_link (
    tenant     text not null,
    account    text not null,
    kind       text not null check (kind in ('product', 'customer')),
    nhanh_id   text collate "C" not null,
    shopify_id text collate "C" not null,
    method     text not null,
    primary key (tenant, account, kind, nhanh_id, shopify_id)
);
comment on table former_link is
    'Pairs that an automatic run linked and a later one could not: kept until the link returns or a person decides.';
