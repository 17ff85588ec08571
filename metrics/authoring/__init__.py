"""What people use to write a metric: examples, previews on history, scaffolds, the reference table.

A package of its own, so that the catalogue's walk over the metrics imports none of it.
"""
