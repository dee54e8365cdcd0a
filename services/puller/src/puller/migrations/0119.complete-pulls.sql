-- When each shelf was last read completely, for readers of the catalogue that must say how old it is.

create view api_complete_pulls as
select tenant, account, platform, kind, job_id, began, finished_at from complete_pull;
comment on view api_complete_pulls is
    'The last pull of each platform and kind that asked for everything and came to its end. began: what it read is not older.';
