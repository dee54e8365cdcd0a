-- A match links one record of the hub with one record of one channel (`platform`).
--
-- nhanh_id and shopify_id stay for processes of the last release, which run beside the present ones during an upgrade:
-- a trigger fills the ids under both names. They are null for other channels. The next release can drop them.

create function fill_ids() returns trigger
language plpgsql as $body$
begin
    if new.hub_id is null then
        new.hub_id := new.nhanh_id;
        new.remote_id := new.shopify_id;
    elsif new.platform = 'shopify' then
        new.nhanh_id := new.hub_id;
        new.shopify_id := new.remote_id;
    end if;
    return new;
end
$body$;
comment on function fill_ids is 'Writes the ids of a record of Shopify under the names of this release and the last one.';

alter table match add column platform text not null default 'shopify';
alter table match add column hub_id text collate "C";
alter table match add column remote_id text collate "C";
update match set hub_id = nhanh_id, remote_id = shopify_id;
alter table match alter column hub_id set not null;
alter table match alter column remote_id set not null;
alter table match drop constraint match_pkey;
alter table match add primary key (tenant, account, kind, platform, hub_id, remote_id);
alter table match alter column nhanh_id drop not null;
alter table match alter column shopify_id drop not null;
-- The last release names these columns in `on conflict`.
create unique index match_last_release on match (tenant, account, kind, nhanh_id, shopify_id);

drop index match_nhanh_once;
drop index match_shopify_once;
create unique index match_hub_once on match (tenant, account, kind, platform, hub_id)
    where status in ('auto', 'confirmed');
create unique index match_remote_once on match (tenant, account, kind, platform, remote_id)
    where status in ('auto', 'confirmed');
drop index match_by_shopify;
create index match_by_remote on match (tenant, account, kind, remote_id, platform);
create index match_by_hub on match (tenant, account, kind, hub_id);

create trigger match_ids before insert on match for each row execute function fill_ids();

create or replace view api_matches as
select tenant, account, kind, nhanh_id, shopify_id, status, method, score, job_id, updated_at, reason, platform, hub_id,
    remote_id
from match;
comment on view api_matches is
    'Which record of the hub is which record of a channel. nhanh_id, shopify_id: the ids of a match of Shopify under '
    'the names of the last release.';

alter table former_link add column platform text not null default 'shopify';
alter table former_link add column hub_id text collate "C";
alter table former_link add column remote_id text collate "C";
update former_link set hub_id = nhanh_id, remote_id = shopify_id;
alter table former_link alter column hub_id set not null;
alter table former_link alter column remote_id set not null;
alter table former_link drop constraint former_link_pkey;
alter table former_link add primary key (tenant, account, kind, platform, hub_id, remote_id);
alter table former_link alter column nhanh_id drop not null;
alter table former_link alter column shopify_id drop not null;
create unique index former_link_last_release on former_link (tenant, account, kind, nhanh_id, shopify_id);

create trigger former_link_ids before insert on former_link for each row execute function fill_ids();

-- `side` holds the platform's name: of the hub or of the job's channel.
alter table snapshot drop constraint snapshot_side_check;
comment on column snapshot.side is 'The platform of the record: the hub, or the channel that the job matches.';
comment on column chunk.first_position is 'Of the hub''s records in the order of record_id.';

alter table match_total add column platform text not null default 'shopify';
alter table match_total drop constraint match_total_pkey;
alter table match_total add primary key (tenant, account, kind, platform);

create or replace function count_matches() returns trigger
language plpgsql set search_path from current as $body$
begin
    insert into match_total as t (tenant, account, kind, platform, records)
    select tenant, account, kind, platform, case tg_op when 'INSERT' then count(*) else -count(*) end
    from changed group by 1, 2, 3, 4
    on conflict (tenant, account, kind, platform) do update set records = t.records + excluded.records;
    return null;
end
$body$;

create or replace view api_totals as select tenant, account, kind, records, platform from match_total;
comment on view api_totals is 'How many rows api_matches has.';
