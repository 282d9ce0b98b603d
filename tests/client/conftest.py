"""A service for each module of tests, on both engines."""

import pytest

import forked_processes
from conftest import ENGINES, new_database
from machine_monitor.client import Client
from servers import ForkedService, environment

MACHINES = ("Lathe 1", "Press 2", "Saw, blue", 'Mill "4"')


@pytest.fixture(scope="module", params=ENGINES)
def address(request, tmp_path_factory):
    """The URL of a service with some machines, and the token of a supervisor."""
    folder = tmp_path_factory.mktemp("service")
    with new_database(request, request.param, folder) as database_url:
        variables = environment(database_url=database_url)
        forked_processes.run(["user", "add", "ONE", "--role", "supervisor"], folder, variables)
        token = forked_processes.run(["token", "add", "ONE"], folder, variables).splitlines()[0]
        with ForkedService(folder, database_url=database_url, open=False) as service:
            url = f"http://127.0.0.1:{service.port}"
            with Client(url, token) as client:
                for number, name in enumerate(MACHINES):
                    client.request("POST", "/machines", body={"name": name, "sector": f"{number % 2}A"})
            yield url, token


@pytest.fixture
def client(address):
    with Client(*address, patience=5) as opened:
        yield opened
