"""The server around the API: connection limits, response headers, allowed hosts, logs, metrics, the console."""
