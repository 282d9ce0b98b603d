"""`mm serve --https`: certificates, the listener for phones, and what the terminal shows of them."""

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from machine_monitor.api.serving.https.files import CertificateState
    from machine_monitor.api.serving.https.host_names import HostNames
    from machine_monitor.api.serving.https.listener import ListenerSettings
    from machine_monitor.config import Settings

# Modules of a margin on each side, without which phones do not find the code.
MARGIN = 2


@contextmanager
def listening(settings: "Settings", host: str, port: int) -> "Generator[None]":
    """Prepare the certificates, print how phones get the authority, and listen for them in a thread."""
    from machine_monitor.api.serving import server
    from machine_monitor.api.serving.https import files, host_names, listener

    folder = files.folder_of(settings)

    def renew() -> "tuple[HostNames, CertificateState]":
        names = host_names.of_this_machine(host, settings.allowed_hosts)
        return names, files.prepare(folder, names, datetime.now(UTC))

    listener.port_beside(port)
    names, state = renew()
    setup = listener.ListenerSettings(state.authority, host, port, renew)
    without_tls = server.options(settings.model_copy(update={"https": False, "root_path": ""}))
    with listener.listening(setup, settings.allowed_hosts, without_tls):
        for line in _announcement(setup, names, state):
            typer.echo(line)
        yield


def qr_code(text: str) -> list[str]:
    """Return a QR code for terminals: each character shows two modules, one above the other."""
    import segno

    matrix = [list(map(bool, row)) for row in segno.make(text, error="m", micro=False).matrix_iter(border=MARGIN)]
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    # Light modules are drawn and dark ones left out, because most terminals are dark.
    characters = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
    return ["".join(map(characters.__getitem__, zip(*pair, strict=True))) for pair in _pairs(matrix)]


def _announcement(setup: "ListenerSettings", names: "HostNames", state: "CertificateState") -> Iterator[str]:
    """Yield the lines that the terminal shows."""
    reachable = names.reachable
    if reachable is None:
        yield "Phones cannot reach this service: it listens on this machine only. For phones, add --host 0.0.0.0."
        reachable = "localhost"
    host = f"[{reachable}]" if ":" in reachable else reachable
    page = f"http://{host}:{setup.port}/https"
    if names.reachable is not None and _can_print("▀▄█"):
        yield from (typer.style(line, fg="bright_white", bg="black") for line in qr_code(page))
    yield f"Console: {setup.https_url(host)}/ui/"
    yield f"Each phone first installs the certificate authority, once: {page}"
    yield f"Its SHA-256 fingerprint, to compare: {state.authority.fingerprint}"
    yield (
        f"The authority is valid until {state.authority_ends:%Y-%m-%d}. The server certificate, until "
        f"{state.server_ends:%Y-%m-%d}, is renewed by itself."
    )
    if state.left_out:
        yield (
            f"Not in the certificate: {', '.join(state.left_out)}. The authority was made before the machine "
            "had these names, and may not certify them."
        )


def _pairs(rows: Sequence[list[bool]]) -> "Iterator[tuple[list[bool], list[bool]]]":
    return zip(rows[::2], rows[1::2], strict=True)


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
