"""The gateway: whether what an applicant says is true, with a proof that it was asked and answered."""
