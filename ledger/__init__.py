"""An append-only, signed Merkle log of what was decided, and an encrypted vault for what it was about."""
