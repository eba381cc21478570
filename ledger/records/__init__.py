"""What entries mean: their form, which may follow which, and what is current."""
