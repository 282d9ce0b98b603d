"""What is looked at before it is trusted: whether the database answers, and whether it says the same everywhere."""
