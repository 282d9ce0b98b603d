"""SQL for the state of the history on PostgreSQL, as `Engine.history_state` defines it."""

# The head covers all entries that have a number. Pending entries only become more until the head changes, so their
# count tells the states between two heads apart; the highest id does so after a failover, too.
HISTORY_STATE = """
    SELECT coalesce((SELECT hash FROM history ORDER BY seq DESC LIMIT 1), ''::bytea)
        || int8send(count(*)) || int8send(coalesce(max(id), 0))
    FROM history_pending"""
# The setting holds until the transaction ends; without one, until the statements that were sent together end.
SETTING = "machine_monitor.history_state"
ANNOUNCED_STATE = f"decode(set_config('{SETTING}', encode(({HISTORY_STATE}), 'hex'), true), 'hex')"


def if_announced(sql: str) -> str:
    """Return a query that reads nothing unless a state was announced that differs from its last parameter, in hex.

    The condition has no column, so the server evaluates it once, before it reads a row.
    """
    return f"SELECT * FROM ({sql}) AS page WHERE current_setting('{SETTING}', true) NOT IN ('', %s)"
