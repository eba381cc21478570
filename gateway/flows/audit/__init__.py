"""Audit: from a discrepancy to a final finding by two officers, what the credit platform is told, and repair."""
