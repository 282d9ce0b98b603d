"""HTTP and nothing else: what a request says, handed down; what comes back, sent out."""
