"""A demonstration province: departments as separate processes, and plainly fictitious people."""
