"""Assistance (协查): ask people where no source can answer, take what they say, and answer the claim again."""
