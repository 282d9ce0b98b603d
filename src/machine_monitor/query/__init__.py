"""Grammar -> vocabulary -> statement -> page: what can be read can be asked for, by the same names."""
