"""What several kinds of source share in reaching a department."""
