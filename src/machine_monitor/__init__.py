"""Machine Monitor: records of interventions on machines, kept and consulted."""
