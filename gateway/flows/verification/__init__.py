"""Verification: ask the sources what the applicant says, judge their answers, say what follows, and record it."""
