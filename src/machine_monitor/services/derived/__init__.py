"""What follows from the records and is kept beside them: folded texts, search indexes; written, checked, made again."""
