"""Nhanh.vn, the Vietnamese POS that is the master of stock and customers."""

from platforms.nhanh.client import NhanhClient

__all__ = ["NhanhClient"]
