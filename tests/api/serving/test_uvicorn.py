"""`serving/connections` extends a class of uvicorn that is not documented: what it uses of it is there, and bounded."""

import ast
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from machine_monitor.api.serving import connections

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
# The class of `self` in a connection, and of its attributes that are uvicorn's too.
CLASSES = {"": HttpToolsProtocol, "cycle": RequestResponseCycle, "flow": FlowControl, "server_state": ServerState}
# What `Connection` adds, beside names that begin with an underscore.
OWN = {"is_responding", "is_streaming", "is_waiting", "waiting_since", "cut"}


def used_parts() -> set[tuple[str, str]]:
    """Return the attributes of uvicorn's classes that `Connection` uses or overrides: of which object, and the name."""
    (tree,) = ast.parse(inspect.getsource(connections.Connection)).body
    used_names = {("", function.name) for function in tree.body if isinstance(function, ast.FunctionDef)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                used_names.add(("", name))
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=part), attr=name):
                used_names.add((part, name))
    return {
        (part, name) for part, name in used_names if part in CLASSES and name not in OWN and not name.startswith("_")
    }


def members(cls: type) -> set[str]:
    """Return the names in the class, and those that its methods set on `self`."""
    codes = [function.__code__ for _, function in inspect.getmembers(cls, inspect.isfunction)]
    return set(dir(cls)).union(*(code.co_names for code in codes), getattr(cls, "__annotations__", ()))


def missing_parts(classes: dict[str, type]) -> set[str]:
    return {f"{part}.{name}".lstrip(".") for part, name in used_parts() if name not in members(classes[part])}


def test_uvicorn_has_what_connections_use():
    missing = ", ".join(sorted(missing_parts(CLASSES)))
    assert not missing, (
        f"uvicorn {version('uvicorn')} no longer has these attributes of a connection: {missing}. Adapt "
        "api/serving/connections.py, then change the bound on uvicorn in pyproject.toml."
    )


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("flow", {"flow.write_paused", "flow.read_paused", "flow.pause_reading"}),
        ("server_state", {"server_state.default_headers"}),
    ],
)
def test_a_missing_attribute_is_found(part, names):
    assert missing_parts({**CLASSES, part: object}) == names


def test_a_missing_method_is_found():
    assert {"shutdown", "connection_made", "cycle", "transport"} <= missing_parts({**CLASSES, "": object})


def test_only_versions_of_uvicorn_like_the_tested_one_are_installed():
    (uvicorn,) = [found for found in map(Requirement, PROJECT["dependencies"]) if found.name == "uvicorn"]
    tested = Version(version("uvicorn"))
    assert tested in uvicorn.specifier
    assert f"{tested.major}.{tested.minor}.99" in uvicorn.specifier
    assert f"{tested.major}.{tested.minor + 1}.0" not in uvicorn.specifier
