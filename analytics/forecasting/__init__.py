"""Forecasts with measured intervals: a combination of kept models, weighed and widened by rolling-origin backtests.

Pure functions on numpy arrays. docs/forecasts.md says how well they do.
"""
