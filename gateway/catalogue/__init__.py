"""What may be asked, and by which rule: items, fact types and matters as versioned data."""
