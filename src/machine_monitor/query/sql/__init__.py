"""The parts of statements that every kind of question shares: filters, search, order, documents."""
