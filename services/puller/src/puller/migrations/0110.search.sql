-- Text search: the searchable words of each variant and customer stand beside it, without accents and in lower case,
-- under an index of trigrams. job_tracker/domain/search_text.py folds what people search for in the same way.

create function search_folded(words text) returns text
language sql immutable strict parallel safe as $body$
select case
    -- Most words are plain: in a quarter of the time.
    when octet_length(words) = length(words) and strpos(words, '  ') = 0 and words !~ '[\t\n\v\f\r]'
        then lower(words collate pg_c_utf8)
    else regexp_replace(
        translate(
            lower(
                regexp_replace(
                    normalize(words, nfkd),
                    -- Accents of Latin, Greek and Cyrillic letters, and characters that nobody sees.
                    '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f'
                    '\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]',
                    '', 'g'
                ) collate pg_c_utf8
            ),
            'đðøłħıς', 'ddolhiσ'
        ),
        '[\t\n\v\f\r \u0085\u1680\u2028\u2029]+', ' ', 'g'
    )
end
$body$;
comment on function search_folded is 'Text for searching: without accents and invisible characters, lower case, single blanks.';

alter table variant add column search text collate "C" not null default '';
alter table customer add column search text collate "C" not null default '';
comment on column variant.search is
    'The words by which it is found, those of its product too, folded; a blank at both ends. Kept by triggers.';
comment on column customer.search is 'The words by which it is found, folded; a blank at both ends. Kept by a trigger.';

create function variant_search() returns trigger
language plpgsql set search_path from current set enable_seqscan = off as $body$
declare
    parent product;
begin
    select * into parent from product
    where tenant = new.tenant and account = new.account and platform = new.platform and product_id = new.product_id;
    new.search := search_folded(concat_ws(
        ' ', '', parent.title, nullif(new.name, parent.title), new.options, coalesce(new.brand, parent.brand),
        coalesce(new.model, parent.model), new.sku, new.barcode, new.product_id, new.variant_id, ''
    ));
    return new;
end
$body$;

-- `listed` too: a product's new title reaches the listed variants only.
create trigger variant_search
before insert or update of name, options, brand, model, sku, barcode, product_id, variant_id, listed on variant
for each row execute function variant_search();

-- By one expression, so that no other index can be taken for it: without statistics, as in a first pull, one of a whole
-- account looks as good to the planner.
create index variant_of_product on variant
using hash ((array[tenant, account, platform, product_id] collate "C"));

-- Planned anew each time: the plan of an empty table would be kept for all rows of a first pull.
create function product_search() returns trigger
language plpgsql
set search_path from current set plan_cache_mode = force_custom_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $body$
begin
    case tg_op
        when 'INSERT' then
            update variant v set product_id = v.product_id from added p
            where v.listed and array[v.tenant, v.account, v.platform, v.product_id] collate "C"
                = array[p.tenant, p.account, p.platform, p.product_id] collate "C";
        when 'DELETE' then
            update variant v set product_id = v.product_id from removed p
            where v.listed and array[v.tenant, v.account, v.platform, v.product_id] collate "C"
                = array[p.tenant, p.account, p.platform, p.product_id] collate "C";
        else
            update variant v set product_id = v.product_id
            from (
                select tenant, account, platform, product_id, title, brand, model from added
                except
                select tenant, account, platform, product_id, title, brand, model from removed
            ) p
            where v.listed and array[v.tenant, v.account, v.platform, v.product_id] collate "C"
                = array[p.tenant, p.account, p.platform, p.product_id] collate "C";
    end case;
    return null;
end
$body$;

create trigger product_search_added after insert on product
referencing new table as added for each statement execute function product_search();
create trigger product_search_changed after update on product
referencing old table as removed new table as added for each statement execute function product_search();
create trigger product_search_removed after delete on product
referencing old table as removed for each statement execute function product_search();

create function customer_search() returns trigger
language plpgsql set search_path from current as $body$
begin
    new.search := search_folded(concat_ws(
        ' ', '', new.name, new.phone, regexp_replace(new.phone, '[^0-9+]', '', 'g'),
        -- As people type them in Vietnam, too.
        (select string_agg(concat_ws(' ', number, '0' || substr(number, 4)), ' ')
         from unnest(new.phones) as number where starts_with(number, '+84')),
        (select string_agg(number, ' ') from unnest(new.phones) as number where not starts_with(number, '+84')),
        new.email, new.customer_id, new.city, ''
    ));
    return new;
end
$body$;

create trigger customer_search
before insert or update of name, phone, phones, email, customer_id, city on customer
for each row execute function customer_search();
