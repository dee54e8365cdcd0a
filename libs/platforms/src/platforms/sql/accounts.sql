-- name: put_account
insert into accounts.account (tenant, account, settings)
values (%(tenant)s, %(account)s, %(settings)s)
on conflict (tenant, account) do update
set settings = excluded.settings, updated_at = now()
where account.settings is distinct from excluded.settings;

-- name: account
select settings from accounts.account where tenant = %(tenant)s and account = %(account)s;

-- name: account_exists
select exists (select from accounts.account where tenant = %(tenant)s and account = %(account)s);

-- name: put_connection
insert into accounts.connection (tenant, account, platform, base_url, credentials)
values (%(tenant)s, %(account)s, %(platform)s, %(base_url)s, %(credentials)s)
on conflict (tenant, account, platform) do update
set base_url = excluded.base_url, credentials = excluded.credentials,
    status = 'ok', reason = '', updated_at = now();

-- name: connection
select tenant, account, platform, base_url, credentials, status, reason, updated_at
from accounts.connection
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s;

-- name: connections
select tenant, account, platform, base_url, credentials, status, reason, updated_at
from accounts.connection
order by tenant, account, platform;

-- name: mark
update accounts.connection
set status = %(status)s, reason = %(reason)s, updated_at = now()
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s
    and (status, reason) is distinct from (%(status)s, %(reason)s);
