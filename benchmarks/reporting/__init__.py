"""What becomes of the numbers: kept as files, shown as a table and a picture."""
