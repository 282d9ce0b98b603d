"""Access control: authentication of requests, and authorization by role and scope."""
