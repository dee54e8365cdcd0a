"""The platforms that Jobtrail moves data between: one package a platform, and what they share.

`adapter` says what a platform's package declares, `registry` finds the registered ones. `accounts.AccountStore` keeps
accounts, settings and credentials; `buckets.RateBuckets` shares the platforms' rate limits between all workers;
`errors` holds every error. `records` and `field_names` are the words that all platforms share for what is read and
written. `migrate.migrate` brings the schema `accounts` to its newest version.
"""
