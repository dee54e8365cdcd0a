"""Writes Nhanh's stock, prices and customer fields to Shopify, item by item, and never blindly.

domain/       pure: what a shop should hold, what differs, what is too much
store/        the schema `syncer`: plans, intents, what was written last, HTTP exchanges; views of other rooms
jobs/         how a sync runs, and what is special to products and to customers
bootstrap.py  the wiring
"""
