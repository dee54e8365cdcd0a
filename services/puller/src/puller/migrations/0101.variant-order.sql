-- The catalogue's list is in this order: products by id, their variants by id.
drop index variant_product;
create index variant_product on variant (tenant, account, platform, product_id, variant_id);
