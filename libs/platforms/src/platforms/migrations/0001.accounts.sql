-- Accounts and their connections. Credentials are encrypted by the application before they come here.
create table accounts.account (
    tenant text not null check (tenant ~ '^[A-Za-z0-9._-]{1,128}$'),
    account text not null check (account ~ '^[A-Za-z0-9._-]{1,128}$'),
    settings jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant, account)
);

create table accounts.connection (
    tenant text not null,
    account text not null,
    platform text not null,
    base_url text not null,
    credentials bytea not null,
    status text not null default 'ok',
    reason text not null default '',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant, account, platform),
    foreign key (tenant, account) references accounts.account
);

-- What other services may see: no credentials.
create view accounts.api_accounts as
select
    a.tenant,
    a.account,
    a.settings,
    a.created_at,
    greatest(a.updated_at, max(c.updated_at)) as updated_at,
    coalesce(
        jsonb_agg(
            jsonb_build_object(
                'platform', c.platform,
                'base_url', c.base_url,
                'status', c.status,
                'reason', c.reason,
                'updated_at', c.updated_at
            )
            order by c.platform
        ) filter (where c.platform is not null),
        '[]'
    ) as connections
from accounts.account as a
left join accounts.connection as c using (tenant, account)
group by a.tenant, a.account;
