"""Seasons: which periods a series has, by a test, how strong each is, and profiles for accounts with little history."""
