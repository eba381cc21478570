"""Anchors: signed statements by outsiders that a checkpoint existed at a time (RFC 3161 time stamps)."""
