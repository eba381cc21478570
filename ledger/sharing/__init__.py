"""One SQLite file, many processes: one process owns the file and the signing key, and takes batches over a socket."""
