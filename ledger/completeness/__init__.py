"""Completeness: proving that some entries are all entries of a record, or that a record has none."""
