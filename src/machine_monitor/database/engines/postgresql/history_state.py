"""SQL for the state of the history on PostgreSQL, as `Engine.history_state` defines it."""

# The head covers all entries that have a number. Pending entries only become more until the head changes, so their
# count tells the states between two heads apart; the highest id does so after a failover, too.
HISTORY_STATE = """
    SELECT coalesce((SELECT hash FROM history ORDER BY seq DESC LIMIT 1), ''::bytea)
        || int8send(count(*)) || int8send(coalesce(max(id), 0))
    FROM history_pending"""
