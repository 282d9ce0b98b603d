"""What makes the history evidence: its chain, the feed of all changes, and answers that are kept for retries."""
