"""What follows from the records and is kept beside them (folded texts, words, counts): written, checked, made again."""
