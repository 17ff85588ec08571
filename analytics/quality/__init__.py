"""Data quality: declared checks, mergeable statistics of windows, and the judgement of each window. docs/quality.md.

Pure functions, no I/O. What a check says of a window is a pure function of the window's statistics and of those of the
windows before it, in whatever order and cuts they were gathered.
"""
