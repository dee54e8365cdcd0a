-- name: buy_calls
select lease, granted, pause
from accounts.buy_calls(
    %(key)s, %(want)s::integer, %(limit)s::integer, %(span)s::double precision,
    %(lease)s::bigint, %(unused)s::integer
);

-- name: spend_points
select granted, pause
from accounts.spend_points(
    %(key)s, %(cost)s::double precision, %(maximum)s::double precision, %(rate)s::double precision
);

-- name: settle_points
select accounts.settle_points(
    %(key)s, %(refund)s::double precision, %(seen)s::double precision,
    %(maximum)s::double precision, %(rate)s::double precision
);

-- name: lock_bucket
select accounts.lock_bucket(%(key)s, %(seconds)s::double precision);
