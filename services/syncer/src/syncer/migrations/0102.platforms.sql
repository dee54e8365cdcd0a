-- What was planned, shown and written is kept by channel (`platform`) and the channel's own id (`remote_id`).
--
-- nhanh_id and shopify_id stay for processes of the last release, which run beside the present ones during an upgrade:
-- a trigger fills the ids under both names. They are null for other channels. The next release can drop them.

create function fill_ids() returns trigger
language plpgsql as $body$
begin
    if tg_op = 'INSERT' and new.remote_id is null then
        new.hub_id := new.nhanh_id;
        new.remote_id := new.shopify_id;
    elsif tg_op = 'UPDATE' and new.nhanh_id is distinct from old.nhanh_id then
        new.hub_id := new.nhanh_id;
    elsif new.platform = 'shopify' then
        new.nhanh_id := new.hub_id;
        new.shopify_id := new.remote_id;
    end if;
    return new;
end
$body$;
comment on function fill_ids is 'Writes the ids of a record of Shopify under the names of this release and the last one.';

alter table written add column platform text not null default 'shopify';
alter table written add column hub_id text collate "C";
alter table written add column remote_id text collate "C";
update written set hub_id = nhanh_id, remote_id = shopify_id;
alter table written alter column hub_id set not null;
alter table written alter column remote_id set not null;
alter table written drop constraint written_pkey;
alter table written add primary key (tenant, account, kind, platform, remote_id);
alter table written alter column nhanh_id drop not null;
alter table written alter column shopify_id drop not null;
-- The last release names these columns in `on conflict`; so it is with the indexes of this name below.
create unique index written_last_release on written (tenant, account, kind, shopify_id);
create trigger written_ids before insert or update on written for each row execute function fill_ids();

create or replace view api_written as
select tenant, account, kind, nhanh_id, shopify_id,
       case when kind = 'product' then fields else '{}'::jsonb end as fields,
       job_id, written_at, platform, hub_id, remote_id
from written
where fields <> '{}';
comment on view api_written is
    'What was last written to a channel or found right there. fields: prices and stock by name; none for customers, of '
    'whom only hashes are kept.';

alter table plan_item add column platform text not null default 'shopify';
alter table plan_item add column hub_id text collate "C";
alter table plan_item add column remote_id text collate "C";
update plan_item set hub_id = nhanh_id, remote_id = shopify_id;
alter table plan_item alter column hub_id set not null;
alter table plan_item alter column remote_id set not null;
alter table plan_item alter column nhanh_id drop not null;
alter table plan_item alter column shopify_id drop not null;
create index plan_item_remote on plan_item (job_id, remote_id);
create trigger plan_item_ids before insert on plan_item for each row execute function fill_ids();

alter table written_change add column platform text not null default 'shopify';
alter table written_change add column hub_id text collate "C";
alter table written_change add column remote_id text collate "C";
update written_change set hub_id = nhanh_id, remote_id = shopify_id;
alter table written_change alter column hub_id set not null;
alter table written_change alter column remote_id set not null;
alter table written_change drop constraint written_change_pkey;
alter table written_change add primary key (job_id, remote_id, field);
alter table written_change alter column nhanh_id drop not null;
alter table written_change alter column shopify_id drop not null;
create unique index written_change_last_release on written_change (job_id, shopify_id, field);
drop index written_change_recent;
create index written_change_recent on written_change (tenant, account, kind, platform, intended_at);
create trigger written_change_ids before insert on written_change for each row execute function fill_ids();

alter table plan_token add column platform text not null default 'shopify';

-- A change that was shown has the platform of its token.
alter table shown_change add column remote_id text collate "C";
update shown_change set remote_id = shopify_id;
alter table shown_change alter column remote_id set not null;
alter table shown_change drop constraint shown_change_pkey;
alter table shown_change add primary key (token, remote_id, field);
alter table shown_change alter column shopify_id drop not null;
create unique index shown_change_last_release on shown_change (token, shopify_id, field);

create function fill_remote_id() returns trigger
language plpgsql as $body$
begin
    new.remote_id := coalesce(new.remote_id, new.shopify_id);
    new.shopify_id := coalesce(new.shopify_id, new.remote_id);
    return new;
end
$body$;
comment on function fill_remote_id is 'Writes the id of a shown change under the names of this release and the last one.';
create trigger shown_change_ids before insert on shown_change for each row execute function fill_remote_id();
