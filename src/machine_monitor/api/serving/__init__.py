"""Around the API: connections and their bounds, the headers of every answer, hosts, logs, metrics."""
