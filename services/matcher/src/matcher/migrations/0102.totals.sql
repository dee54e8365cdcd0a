-- How many matches each account has, kept in the transaction that changes them: a list's total costs the same however
-- many there are.

create table match_total (
    tenant  text not null,
    account text not null,
    kind    text not null,
    records bigint not null,
    primary key (tenant, account, kind)
);
comment on table match_total is 'Rows of match; kept by its triggers.';

create function count_matches() returns trigger
language plpgsql set search_path from current as $body$
begin
    insert into match_total as t (tenant, account, kind, records)
    select tenant, account, kind, case tg_op when 'INSERT' then count(*) else -count(*) end from changed group by 1, 2, 3
    on conflict (tenant, account, kind) do update set records = t.records + excluded.records;
    return null;
end
$body$;

create trigger match_added after insert on match
referencing new table as changed for each statement execute function count_matches();
create trigger match_removed after delete on match
referencing old table as changed for each statement execute function count_matches();

insert into match_total (tenant, account, kind, records)
select tenant, account, kind, count(*) from match group by 1, 2, 3;

create view api_totals as select tenant, account, kind, records from match_total;
comment on view api_totals is 'How many rows api_matches has.';
