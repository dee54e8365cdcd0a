"""Writes the hub's stock, prices and customer fields to a channel, item by item, after a read of what it holds.

domain/       pure: desired values, differences, conflicts, guards
store/        the schema `syncer`: plans, intents, last written values, drifts, HTTP exchanges; views of other services
jobs/         how a sync runs, what is special to products, to customers and to a revert; how a reconcile runs
bootstrap.py  the wiring
"""
