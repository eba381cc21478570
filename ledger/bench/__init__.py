"""The ledger's performance table: ratios within one run, beside what the same machine does bare."""
