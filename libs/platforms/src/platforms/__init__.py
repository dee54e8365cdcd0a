"""Clients of the platforms that Jobtrail moves data between, with accounts, credentials and rate limits.

`accounts.AccountStore` keeps who is connected to what; `nhanh.NhanhClient` and `shopify.ShopifyClient` talk to
the platforms; `buckets.RateBuckets` shares their rate limits between all workers; `errors` says all that can
go wrong. `person_names` compares names of customers, the same way for every service.
`migrate.migrate` brings the schema
`accounts` to its newest version.
"""
