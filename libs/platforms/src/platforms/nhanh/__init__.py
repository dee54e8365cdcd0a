"""Nhanh.vn, the Vietnamese POS that is the master of stock and customers."""

from platforms.nhanh.platform import PLATFORM

__all__ = ["PLATFORM"]
