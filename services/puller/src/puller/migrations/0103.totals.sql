-- How many records each shelf lists, kept in the transaction that changes them: a list's total costs the same however
-- many there are.

create table listed_total (
    tenant   text not null,
    account  text not null,
    platform text not null,
    kind     text not null,
    records  bigint not null,
    primary key (tenant, account, platform, kind)
);
comment on table listed_total is 'Rows of variant (kind product) and of customer that are listed; kept by their triggers.';

create function count_listed() returns trigger
language plpgsql set search_path from current as $body$
begin
    case tg_op
        when 'INSERT' then
            insert into listed_total as t (tenant, account, platform, kind, records)
            select tenant, account, platform, tg_argv[0], count(*) from added where listed group by 1, 2, 3
            on conflict (tenant, account, platform, kind) do update set records = t.records + excluded.records;
        when 'DELETE' then
            insert into listed_total as t (tenant, account, platform, kind, records)
            select tenant, account, platform, tg_argv[0], -count(*) from removed where listed group by 1, 2, 3
            on conflict (tenant, account, platform, kind) do update set records = t.records + excluded.records;
        else
            insert into listed_total as t (tenant, account, platform, kind, records)
            select tenant, account, platform, tg_argv[0], sum(change)
            from (
                select tenant, account, platform, 1 as change from added where listed
                union all
                select tenant, account, platform, -1 from removed where listed
            ) changes
            group by 1, 2, 3 having sum(change) <> 0
            on conflict (tenant, account, platform, kind) do update set records = t.records + excluded.records;
    end case;
    return null;
end
$body$;

create trigger variant_added after insert on variant
referencing new table as added for each statement execute function count_listed('product');
create trigger variant_changed after update on variant
referencing old table as removed new table as added for each statement execute function count_listed('product');
create trigger variant_removed after delete on variant
referencing old table as removed for each statement execute function count_listed('product');

create trigger customer_added after insert on customer
referencing new table as added for each statement execute function count_listed('customer');
create trigger customer_changed after update on customer
referencing old table as removed new table as added for each statement execute function count_listed('customer');
create trigger customer_removed after delete on customer
referencing old table as removed for each statement execute function count_listed('customer');

insert into listed_total (tenant, account, platform, kind, records)
select tenant, account, platform, 'product', count(*) from variant where listed group by 1, 2, 3
union all
select tenant, account, platform, 'customer', count(*) from customer where listed group by 1, 2, 3;

drop view api_product_keys;
drop view api_customer_keys;
create view api_totals as select tenant, account, platform, kind, records from listed_total;
comment on view api_totals is 'How many rows api_products (kind product) and api_customers (kind customer) have.';
