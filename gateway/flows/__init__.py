"""What the gateway does, one verb a file: verify, prepare, record, withdraw, decide, requery, find, report, repair.

A flow takes parsed values and a caller, applies rules, asks sources, appends to the ledger, and returns values.
"""
