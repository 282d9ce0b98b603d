"""`mm serve --https`: what it prints, and what it refuses."""

import contextlib
import os

import pytest
import segno

from machine_monitor.api.serving.https import host_names, listener
from machine_monitor.cli import https

LAN = "192.168.1.20"
PAGE = f"http://{LAN}:8001/https"
ALL_INTERFACES = "0.0.0.0"  # noqa: S104 -- the tests do not listen on it


@pytest.fixture(autouse=True)
def started(monkeypatch, working_folder, uvicorn_calls):  # noqa: ARG001 -- the commands write there
    """The calls of uvicorn and of the listener for phones; neither listens."""
    monkeypatch.setenv("MM_HTTPS", "false")  # `serve --https` sets it; monkeypatch restores it
    monkeypatch.setattr(listener, "listening", lambda setup, *_: contextlib.nullcontext(uvicorn_calls.append(setup)))
    monkeypatch.setattr(host_names, "lan_addresses", lambda: iter([LAN]))
    monkeypatch.setattr("socket.gethostname", lambda: "shop")
    return uvicorn_calls


def modules(lines):
    """The modules of a QR code as it is printed: a dark one is left out."""
    upper = [[letter in " ▄" for letter in line] for line in lines]
    lower = [[letter in " ▀" for letter in line] for line in lines]
    return [row for pair in zip(upper, lower, strict=True) for row in pair]


@pytest.mark.parametrize("text", ["http://10.0.0.1:8001/https", PAGE, "http://machines.example.com:8001/https" * 3])
def test_the_printed_qr_code_is_that_of_the_address(text):
    expected = [
        list(map(bool, row)) for row in segno.make(text, error="m", micro=False).matrix_iter(border=https.MARGIN)
    ]
    printed = modules(https.qr_code(text))
    assert printed[: len(expected)] == expected
    assert not any(map(any, printed[len(expected) :]))


def test_serve_prints_how_phones_connect(mm, working_folder, started):
    code, out, err = mm("serve", "--https", "--host", ALL_INTERFACES, "--workers", 2)
    assert code == 0, err
    code_lines, others = [], []
    for line in out.splitlines():
        (code_lines if set(line) <= set(" ▀▄█") else others).append(line)
    assert code_lines == https.qr_code(PAGE)
    assert others[0] == f"Console: https://{LAN}:8000/ui/"
    assert others[1].endswith(f"once: {PAGE}")
    (setup, options) = started
    assert setup.authority.fingerprint in others[2]
    assert "  https://127.0.0.1:8000/ui/setup#code=" in out
    assert (setup.port, setup.host) == (8001, ALL_INTERFACES)
    assert options["workers"] == 2
    assert options["ssl_context_factory"].args == (working_folder / "machine-monitor.db-https/server.pem",)
    # The workers read it from the environment.
    assert os.environ["MM_HTTPS"] == "true"


def test_a_service_that_listens_on_this_machine_only_says_so(mm):
    code, out, _ = mm("serve", "--https")
    assert code == 0
    assert "Phones cannot reach this service: it listens on this machine only. For phones, add --host" in out
    assert "█" not in out
    assert "https://localhost:8000/ui/" in out


def test_the_setting_is_enough(mm, started):
    code, out, _ = mm("serve", host=ALL_INTERFACES, https="true", allowed_hosts="machines.example.com", port=443)
    assert (code, len(started)) == (0, 2)
    assert "Console: https://machines.example.com/ui/" in out
    assert "http://machines.example.com:80/https" in out
    assert mm("user", "add", "ADM")[1].startswith("https://127.0.0.1:443/ui/setup#code=")


def test_without_https_nothing_changes(mm, started, working_folder):
    code, out, _ = mm("serve")
    assert (code, len(started)) == (0, 1)
    assert not {"ssl_context_factory", "loop"} & set(started[0])
    assert "http://127.0.0.1:8000/ui/setup" in out
    assert not (working_folder / "machine-monitor.db-https").exists()


def test_a_terminal_that_cannot_print_a_qr_code_gets_the_address(mm, monkeypatch):
    monkeypatch.setattr(https, "_can_print", lambda _: False)
    out = mm("serve", "--https", "--host", ALL_INTERFACES)[1]
    assert "█" not in out
    assert PAGE in out


def test_an_address_that_the_authority_may_not_certify_is_named(mm, monkeypatch):
    assert mm("serve", "--https")[0] == 0
    monkeypatch.setattr(host_names, "lan_addresses", lambda: iter(["203.0.113.9"]))
    code, out, _ = mm("serve", "--https")
    assert code == 0
    assert "Not in the certificate: 203.0.113.9." in out


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        (["--port", "0"], {}, "choose a --port from 1 to 65534"),
        (["--port", "65535"], {}, "choose a --port from 1 to 65534"),
        ([], {"allowed_hosts": "a b://c"}, "MM_ALLOWED_HOSTS: 'b://c' is neither a host name nor an IP address"),
        ([], {"https_folder": "machine-monitor.db"}, "Cannot write the certificates to machine-monitor.db"),
    ],
)
def test_an_impossible_setup_gives_a_clear_error(mm, started, words, settings, message):
    code, _, err = mm("serve", "--https", *words, **settings)
    assert (code, started) == (2, [])
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err


def test_the_demo_stays_without_https(mm, started):
    code, out, err = mm("demo", "--machines", 1, "--logs", 0, https="true")
    assert code == 0, err
    assert "ssl_context_factory" not in started[0]
    assert "http://127.0.0.1:8000/ui/" in out
