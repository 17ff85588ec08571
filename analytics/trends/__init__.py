"""Trends: slopes with their noise, change points, drill-down, and an account against its cohort."""
