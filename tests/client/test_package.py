"""The client's package: what it imports and reads from the environment, and what it refuses before it sends."""

import ssl
import subprocess
import sys

import httpx2
import pytest

from machine_monitor import config
from machine_monitor.client import Client, ClientError
from machine_monitor.client.lists import encode_query
from machine_monitor.client.transport import HighestPosition, is_about_tls


@pytest.mark.parametrize("value", [None, [], (), [None]])
def test_a_value_that_would_filter_nothing_is_refused(value):
    with pytest.raises(ValueError, match="'machine'"):
        encode_query({"machine": value})


def test_the_highest_position_stays():
    highest = HighestPosition()
    for position in ("", "0/FFFFFFFF", "1/2", "0/3", ""):
        highest.advance(position)
    assert highest.value == "1/2"


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://localhost"])
def test_an_address_without_a_scheme_is_refused(url, monkeypatch):
    monkeypatch.delenv("MM_URL", raising=False)
    with pytest.raises(ClientError, match="http://localhost:8000"):
        Client(url)


@pytest.mark.parametrize("url", ["http://localhost:8000/mm", "http://localhost:8000/mm/"])
def test_a_service_may_have_a_prefix(url):
    with Client(url) as client:
        assert client._transport._http.build_request("GET", "/logs").url == "http://localhost:8000/mm/logs"


def test_a_token_with_other_characters_is_refused():
    with pytest.raises(ClientError, match="copy it again"):
        Client("http://localhost:8000", "mm_1_ab\ncd")


@pytest.mark.parametrize(
    ("cause", "is_lasting"),
    [
        (ssl.SSLCertVerificationError("self-signed certificate"), True),
        (ssl.SSLError("WRONG_VERSION_NUMBER"), True),
        (ssl.SSLEOFError("UNEXPECTED_EOF_WHILE_READING"), False),
        (ConnectionRefusedError(), False),
    ],
)
def test_a_lasting_fault_of_tls_is_told_from_a_stopped_service(cause, is_lasting):
    lost = httpx2.ConnectError("x")
    lost.__context__ = OSError()
    lost.__context__.__context__ = cause
    assert is_about_tls(lost) == is_lasting


@pytest.mark.slow
@pytest.mark.parametrize(
    ("absent", "program", "sentence"),
    [
        ("httpx2", "import machine_monitor.client", "machine_monitor.client needs the package httpx2: install"),
        ("pandas", "from machine_monitor.client import to_dataframe; to_dataframe([])", "to_dataframe needs pandas"),
    ],
)
def test_an_absent_package_is_named_in_a_sentence(absent, program, sentence):
    code = f"import sys; sys.modules['{absent}'] = None\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {sentence}")


@pytest.mark.slow
def test_the_client_imports_nothing_of_the_service():
    code = "import sys, machine_monitor.client; print(*(n for n in sys.modules if n.startswith('machine_monitor.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.split(".")[1] for name in done.stdout.split()} == {"client"}


def test_the_settings_of_the_service_do_not_refuse_the_variables_of_the_client(monkeypatch):
    monkeypatch.setenv("MM_URL", "http://localhost:8000")
    monkeypatch.setenv("MM_TOKEN", "mm_1_x")
    assert config.load().port
