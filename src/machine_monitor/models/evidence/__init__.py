"""What is kept beside the records: their history, and answers for requests that are sent again."""
