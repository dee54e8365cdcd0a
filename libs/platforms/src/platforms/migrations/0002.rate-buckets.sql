-- depends: 0001.accounts
-- Rate limits that all workers share, in database time.
create table accounts.rate_bucket (
    key text primary key,
    locked_until timestamptz not null default '-infinity',
    -- Cost buckets only:
    available double precision not null default 0,
    measured_at timestamptz not null default now(),
    maximum double precision not null default 0,
    restore_rate double precision not null default 0
);

create table accounts.rate_lease (
    id bigint generated always as identity primary key,
    key text not null,
    bought_at timestamptz not null,
    tokens integer not null
);

create index rate_lease_by_key on accounts.rate_lease (key, bought_at);

-- Buys up to p_want calls of a bucket that allows p_limit calls in any p_span seconds, after giving back
-- p_unused calls of the lease p_lease. The row lock makes buyers of one key stand in line, and each statement
-- of the function sees what the buyer before has committed (which one statement with a CTE would not).
create function accounts.buy_calls(
    p_key text, p_want integer, p_limit integer, p_span double precision, p_lease bigint, p_unused integer,
    out lease bigint, out granted integer, out pause double precision
) language plpgsql as $$
declare
    v_now timestamptz;
    v_locked timestamptz;
    v_spent integer;
begin
    lease := 0;
    granted := 0;
    insert into accounts.rate_bucket (key) values (p_key) on conflict do nothing;
    select locked_until into v_locked from accounts.rate_bucket where key = p_key for update;
    v_now := clock_timestamp();
    if p_unused > 0 then
        update accounts.rate_lease set tokens = tokens - p_unused where id = p_lease and key = p_key;
    end if;
    if v_locked > v_now then
        pause := extract(epoch from v_locked - v_now);
        return;
    end if;
    delete from accounts.rate_lease
    where key = p_key and (tokens <= 0 or bought_at <= v_now - make_interval(secs => p_span));
    select coalesce(sum(tokens), 0) into v_spent from accounts.rate_lease where key = p_key;
    granted := least(p_want, p_limit - v_spent);
    if granted > 0 then
        pause := 0;
        insert into accounts.rate_lease (key, bought_at, tokens)
        values (p_key, v_now, granted) returning id into lease;
        return;
    end if;
    granted := 0;
    select extract(epoch from min(bought_at) + make_interval(secs => p_span) - v_now)
    into pause from accounts.rate_lease where key = p_key;
end
$$;

-- Takes p_cost points out of a leaky bucket that fills at restore_rate points a second up to maximum.
-- Until the platform has told its real size, p_maximum and p_rate are believed.
create function accounts.spend_points(
    p_key text, p_cost double precision, p_maximum double precision, p_rate double precision,
    out granted boolean, out pause double precision
) language plpgsql as $$
declare
    v_bucket accounts.rate_bucket;
    v_now timestamptz;
    v_available double precision;
begin
    insert into accounts.rate_bucket (key, available, measured_at, maximum, restore_rate)
    values (p_key, p_maximum, clock_timestamp(), p_maximum, p_rate) on conflict do nothing;
    select * into v_bucket from accounts.rate_bucket where key = p_key for update;
    v_now := clock_timestamp();
    granted := false;
    if v_bucket.locked_until > v_now then
        pause := extract(epoch from v_bucket.locked_until - v_now);
        return;
    end if;
    v_available := least(
        v_bucket.maximum,
        v_bucket.available + v_bucket.restore_rate * extract(epoch from v_now - v_bucket.measured_at)
    );
    -- A query dearer than the whole bucket would wait for ever: it goes when the bucket is full.
    if v_available < least(p_cost, v_bucket.maximum) then
        pause := (least(p_cost, v_bucket.maximum) - v_available) / v_bucket.restore_rate;
        return;
    end if;
    granted := true;
    pause := 0;
    update accounts.rate_bucket set available = v_available - p_cost, measured_at = v_now where key = p_key;
end
$$;

-- Corrects the bucket by what the platform answered: p_refund points were not used, its size is p_maximum,
-- and at its own count p_seen were left. That may only lower our count, because others' queries are still on
-- their way.
create function accounts.settle_points(
    p_key text, p_refund double precision, p_seen double precision,
    p_maximum double precision, p_rate double precision
) returns void language sql as $$
    update accounts.rate_bucket set
        available = least(
            p_seen,
            p_maximum,
            available + p_refund + p_maximum - maximum
                + restore_rate * extract(epoch from clock_timestamp() - measured_at)
        ),
        measured_at = clock_timestamp(),
        maximum = p_maximum,
        restore_rate = p_rate
    where key = p_key
$$;

create function accounts.lock_bucket(p_key text, p_seconds double precision) returns void language sql as $$
    insert into accounts.rate_bucket (key, locked_until)
    values (p_key, clock_timestamp() + make_interval(secs => p_seconds))
    on conflict (key) do update
    set locked_until = greatest(rate_bucket.locked_until, excluded.locked_until)
$$;
