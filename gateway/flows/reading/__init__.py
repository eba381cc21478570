"""Reading: what is handed out of commitments to whoever may see them; lists, exports, letters, evidence packs."""
