"""What a proxy in front of the service tells about a request, and which pages may send one."""
