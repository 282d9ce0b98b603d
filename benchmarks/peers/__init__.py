"""Other programs on the same file, in an environment of their own; what runs there imports nothing of the product."""
