"""An append-only signed log of entries in the forms of C2SP: notes, checkpoints, tiles, proofs."""
