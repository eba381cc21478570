"""From a submission to a durable entry with its receipt."""
