"""Shopify, through its Admin GraphQL API."""

from platforms.shopify.client import ShopifyClient

__all__ = ["ShopifyClient"]
