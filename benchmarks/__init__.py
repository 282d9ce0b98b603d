"""The product measured beside a naive twin, the limit and its peers; this imports nothing, since peers import it."""
