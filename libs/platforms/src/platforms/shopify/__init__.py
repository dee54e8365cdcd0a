"""Shopify, through its Admin GraphQL API."""

from platforms.shopify.platform import PLATFORM

__all__ = ["PLATFORM"]
