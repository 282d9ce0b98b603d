"""The command `mm mcp`."""

from machine_monitor.errors import UsageError


def mcp() -> None:
    """Let an assistant read and write logs: an MCP server on stdin and stdout.

    It acts with the token of MM_TOKEN on the service of MM_URL. Assistants start it themselves.
    """
    try:
        from machine_monitor.client import Client, ClientError
        from machine_monitor.client.mcp_server import create_server
    except ImportError as error:
        raise UsageError("`mm mcp` needs the extra `mcp` of machine-monitor, or `pip install mcp`.") from error
    try:
        # An assistant's user waits: soon it gets a sentence instead.
        client = Client(patience=5)
    except ClientError as error:
        raise UsageError(str(error)) from None
    with client:
        create_server(client).run("stdio")
