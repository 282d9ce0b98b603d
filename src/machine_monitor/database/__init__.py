"""The only package that knows the engines: connect, read (finished JSON in one hop), write (one unit of work)."""
