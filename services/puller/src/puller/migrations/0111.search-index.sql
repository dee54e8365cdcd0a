-- The rows of before get their searchable words, and then their index. Apart from the columns: those lock the tables for
-- readers too, for as long as their migration takes. The views come last: a search before would not find these rows.

update variant set product_id = product_id;
update customer set customer_id = customer_id;

-- The index needs two extensions that come with PostgreSQL. Any owner of the database may create them; where they may
-- not be created, a search looks through the list page by page.
create function create_search_indexes() returns boolean
language plpgsql set search_path from current as $body$
declare
    trigrams text;
begin
    select nspname into trigrams
    from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
    where extname = 'pg_trgm' and exists (select from pg_extension where extname = 'btree_gin');
    if trigrams is null then
        return false;
    end if;
    execute format(
        'create index if not exists variant_search on variant '
        'using gin (tenant, account, platform, search %I.gin_trgm_ops) where listed', trigrams);
    execute format(
        'create index if not exists customer_search on customer '
        'using gin (tenant, account, platform, search %I.gin_trgm_ops) where listed', trigrams);
    return true;
end
$body$;
comment on function create_search_indexes is
    'Creates the search indexes if the extensions pg_trgm and btree_gin are there; says whether they are.';

do $body$
begin
    begin
        create extension if not exists pg_trgm with schema public;
        create extension if not exists btree_gin with schema public;
    exception when others then
        raise warning 'search without an index: %. Create the extensions pg_trgm and btree_gin, then: '
            'select %I.create_search_indexes()', sqlerrm, current_schema();
    end;
    perform create_search_indexes();
end
$body$;

create view api_product_search as
select tenant, account, platform, product_id, variant_id, search from variant where listed;
create view api_customer_search as select tenant, account, platform, customer_id, search from customer where listed;
comment on view api_product_search is
    'What each row of api_products is found by. Folded as search_folded does; the index variant_search serves LIKE.';
comment on view api_customer_search is
    'What each row of api_customers is found by. Folded as search_folded does; the index customer_search serves LIKE.';
