"""Other frameworks on the same database file, in their own virtual environment, without the product's code."""
