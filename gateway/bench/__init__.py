"""The gateway's performance table: real processes, real TLS, and a bare echo beside them in the same run."""
