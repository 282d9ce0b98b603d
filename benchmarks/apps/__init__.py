"""The two reference apps that the benchmark compares the product with: the naive app, and the limit."""
