"""Packaging and deployment files are consistent with the code and with each other."""

import asyncio
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from api.files.samples import new_log, part
from conftest import serving
from machine_monitor import config
from machine_monitor.api.serving import uploads
from machine_monitor.services.files.store import FolderStore

ROOT = Path(__file__).parents[1]
MAKE_TARGETS = {
    *("help", "setup", "demo", "run", "quick", "test", "test-outside", "check", "fix", "lock", "fuzz", "openapi"),
    *("migration", "bench", "console", "docs", "proof", "sbom"),
}
# URLs of package registries, options that contain one, and absolute paths of a developer's machine.
FOREIGN = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|file:///(?:opt)|--(?:extra-)?index-url|--find[-]links"
    r"|(?<![\w.}])/(?:root|work)/"
)


def text(name: str) -> str:
    return (ROOT / name).read_text()


# Locks


def pins(name: str) -> dict[str, tuple[str, set[str]]]:
    """Return the version and the hashes of each package in a lock file."""
    blocks = re.split(r"\n(?=[a-z])", text(name).replace("\\\n", " ").strip())
    versions = {}
    for block in blocks:
        pin, version = re.match(r"([a-z0-9-]+)(?:\[[a-z0-9, -]+\])?==(\S+)", block).groups()
        versions[pin] = (version, set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)))
    return versions


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "docs/requirements.lock"])
def test_every_pin_of_a_lock_has_a_hash(name):
    assert [pin for pin, (_, hashes) in pins(name).items() if not hashes] == []


def test_locks_satisfy_the_requirements_of_pyproject():
    project = tomllib.loads(text("pyproject.toml"))
    runtime, dev, docs = map(pins, ("requirements.lock", "requirements-dev.lock", "docs/requirements.lock"))
    for lock, requirements in (
        (runtime, project["project"]["dependencies"] + project["project"]["optional-dependencies"]["tracing"]),
        (docs, project["dependency-groups"]["docs"]),
        (dev, project["dependency-groups"]["dev"] + project["build-system"]["requires"]),
        (dev, [each for extra in project["project"]["optional-dependencies"].values() for each in extra]),
    ):
        for requirement in map(Requirement, requirements):
            if requirement.name == project["project"]["name"]:
                continue  # an extra that contains another one
            assert requirement.specifier.contains(lock[requirement.name][0]), f"{requirement}: run `make lock`"


def test_tests_run_on_the_versions_that_are_deployed():
    runtime, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_contain_the_extras_of_requirements(name):
    dependencies = map(Requirement, tomllib.loads(text("pyproject.toml"))["project"]["dependencies"])
    pins = {f"{found.name}[{', '.join(sorted(found.extras))}]==" for found in dependencies if found.extras}
    assert [pin for pin in pins if f"\n{pin}" not in text(name)] == []


# Commands


def test_make_without_a_target_lists_all_targets():
    if shutil.which("make") is None:
        pytest.skip("needs make")
    output = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607 -- the one on the PATH
    assert set(re.findall(r"^make ([\w-]+) ", output, re.MULTILINE)) == MAKE_TARGETS


def test_ci_run_can_be_executed():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# Settings


def test_example_env_shows_every_setting_with_its_default(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(config.PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    lines = re.sub(r"^# (?=MM_)", "", text(".env.example"), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(lines)
    names = re.findall(r"^(MM_\w+)=", lines, re.MULTILINE)
    assert sorted(names) == sorted(config.PREFIX + name.upper() for name in config.Settings.model_fields)
    assert config.load() == config.Settings.model_construct()


def test_example_env_contains_no_password():
    assert re.findall(r"PASSWORD=.*", text(".env.example")) == ["PASSWORD="]


# Containers


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(text("docker-compose.yml"))


@pytest.fixture(scope="module")
def services(compose) -> dict:
    return compose["services"]


def test_app_waits_for_a_migration_that_waits_for_a_healthy_database(services):
    assert services["app"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert services["migrate"]["command"] == ["mm", "migrate"]
    assert services["migrate"]["restart"] == "no"
    assert "pg_isready" in services["db"]["healthcheck"]["test"]


def test_database_of_compose_keeps_its_data_in_a_volume(services):
    assert services["db"]["image"] == "postgres:18"
    assert services["db"]["volumes"] == ["db:/var/lib/postgresql"]
    assert "ports" not in services["db"]


def test_compose_keeps_the_attachments_in_a_volume(compose, services):
    (volume,) = services["app"]["volumes"]
    name, folder = volume.split(":")
    assert name in compose["volumes"]
    assert services["app"]["environment"]["MM_FILES"].startswith(f"{folder}/")


def test_compose_contains_no_password_and_requires_one(services):
    for service, name in (("db", "POSTGRES_PASSWORD"), ("migrate", "PGPASSWORD"), ("app", "PGPASSWORD")):
        assert services[service]["environment"][name].startswith("${POSTGRES_PASSWORD:?")
    assert not re.search(r"://\w+:", text("docker-compose.yml"))


def test_compose_sets_only_settings_that_exist(services):
    given = {name for service in services.values() for name in service["environment"] if name.startswith(config.PREFIX)}
    assert given <= {config.PREFIX + name.upper() for name in config.Settings.model_fields}


def test_compose_publishes_only_to_localhost_by_default(services):
    assert services["app"]["ports"] == ["${MM_HOST:-127.0.0.1}:${MM_PORT:-8000}:8000"]
    assert services["app"]["environment"]["MM_PORT"] == "8000"


def test_compose_says_which_version_it_needs():
    needed = r"Docker Compose 2\.24 or newer"
    assert all(re.search(needed, text(name)) for name in ("docker-compose.yml", "docs/deploy/compose.md"))


def test_compose_limits_the_log_of_every_container(services):
    assert {name: service["logging"]["options"] for name, service in services.items()} == {
        name: {"max-size": "10m", "max-file": "5"} for name in services
    }


def test_the_backup_of_compose_works(services, tmp_path):
    backup = services["backup"]
    assert (backup["profiles"], backup["restart"]) == (["backup"], "no")
    shell, option, script = backup["command"]
    site, backups = tmp_path / "site", tmp_path / "backups"
    old = backups / "2020-01-31.backup"
    for folder in (site, old.with_name(f"{old.name}.files") / "ab/cd"):
        folder.mkdir(parents=True)
    kept = backups / "by-hand.backup"
    for file in (old, old.with_name(f"{old.name}.json"), kept):
        file.touch()
    for path in backups.iterdir():
        os.utime(path, (0, 0))
    content = b"a photo"
    add_attachment(f"sqlite:///{site}/site.db", site / "files", content)
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MM_DATABASE_URL": "sqlite:///site.db",
        "MM_FILES": str(site / "files"),
    }
    command = [shell, option, script.replace("$$", "$").replace("/backups", str(backups))]
    subprocess.run(command, cwd=site, env=variables, capture_output=True, check=True)
    kept.unlink()
    made, files, manifest = sorted(path.name for path in backups.iterdir())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.backup", made)
    assert (files, manifest) == (f"{made}.files", f"{made}.json")
    digest = sha256(content).hexdigest()
    assert FolderStore(backups / files).path_of(digest).read_bytes() == content


def add_attachment(url: str, folder: Path, content: bytes) -> None:
    """Make a database with a log that has an attachment."""

    async def fill() -> None:
        async with serving(config.Settings(database_url=url, files=str(folder))) as client:
            log = await new_log(client)
            added = await client.post(f"/logs/{log['uuid']}/attachments", files=[part(content)])
            assert added.status_code == 201

    asyncio.run(fill())


def test_the_backup_of_compose_reads_the_attachments_and_writes_to_a_volume_of_its_own(compose, services, instructions):
    backup, app = services["backup"], services["app"]
    assert backup["volumes"] == [f"{volume}:ro" for volume in app["volumes"]] + ["backups:/backups"]
    assert backup["environment"]["MM_FILES"] == app["environment"]["MM_FILES"]
    assert "backups" in compose["volumes"]
    # A new volume belongs to root, unless the image has the folder and gives it to its user.
    runs = [argument for name, argument in instructions if name == "RUN"]
    assert re.search(r"install --directory --owner monitor --group monitor .*/backups\b", runs[-1])


def test_proxies_accept_the_largest_form():
    largest = config.Settings.model_fields["max_file"].default * uploads.MAX_FILES
    (megabytes,) = re.findall(r"^ *client_max_body_size (\d+)m;", text("docs/deploy/nginx.conf"), re.MULTILINE)
    # The parts of a form have headers, and a log may be one of them.
    assert int(megabytes) * 1024**2 >= largest + 2 * 1024**2
    # Caddy has no limit by default, Apache one of 1 GiB.
    assert "request_body" not in text("docs/deploy/Caddyfile")
    assert "LimitRequestBody" not in text("docs/deploy/apache.conf")


def test_the_tls_profile_proxies_to_the_app(services):
    tls = services["tls"]
    assert tls["profiles"] == ["tls"]
    assert tls["depends_on"] == ["app"]
    assert set(tls["ports"]) == {"80:80", "443:443"}
    source, _, target = tls["volumes"][0].partition(":")
    assert (source, target) == ("./Caddyfile", "/etc/caddy/Caddyfile:ro")
    caddy = re.sub(r"^#.*", "", text("Caddyfile"), flags=re.MULTILINE).split()
    assert caddy == ["{$CONSOLE_NAME}", "{", "reverse_proxy", f"app:{services['app']['environment']['MM_PORT']}", "}"]
    assert "CONSOLE_NAME" in tls["environment"]


def test_the_caddyfiles_of_compose_and_of_a_machine_differ_only_in_names():
    of_compose, of_machine = (
        re.sub(r"^\s*#.*", "", text(name), flags=re.MULTILINE).split()
        for name in ("Caddyfile", "docs/deploy/Caddyfile")
    )
    replaced = {"{$CONSOLE_NAME}": "machines.example.com", "app:8000": "127.0.0.1:8000"}
    assert [replaced.get(word, word) for word in of_compose] == of_machine


def test_compose_trusts_only_the_address_of_its_proxy(compose):
    services = compose["services"]
    (trusted,) = re.findall(r":-(.+)}", services["app"]["environment"]["FORWARDED_ALLOW_IPS"])
    assert services["tls"]["networks"]["default"]["ipv4_address"] == trusted
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    # Docker gives other containers addresses of the range.
    proxy, others = ipaddress.ip_address(trusted), ipaddress.ip_network(network["ip_range"])
    assert proxy in ipaddress.ip_network(network["subnet"])
    assert proxy not in others
    assert others.subnet_of(ipaddress.ip_network(network["subnet"]))


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as pairs of instruction and argument, with continued lines joined."""
    lines = [line for line in text("Dockerfile").splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def test_image_pins_all_dependencies_of_the_build_backend():
    needed, names = set(), ["hatchling"]
    while names:
        name = names.pop()
        needed.add(name)
        requirements = map(Requirement, metadata.requires(name) or [])
        names += [
            each.name
            for each in requirements
            if each.name not in needed and (not each.marker or each.marker.evaluate())
        ]
    (listed,) = re.findall(r"\^\(([a-z|-]+)\)==", text("Dockerfile"))
    assert set(listed.split("|")) == needed


def test_image_runs_as_a_numeric_user_other_than_root(instructions):
    last = [argument for name, argument in instructions if name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last)


def test_image_copies_only_files_that_exist_in_the_build_context(instructions):
    allowed = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    copied = {
        source
        for name, argument in instructions
        if name == "COPY" and "--from=" not in argument
        for source in argument.split()[:-1]
    }
    assert copied == allowed
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_image_serves_with_settings_that_exist(instructions):
    given = re.findall(r"\bMM_\w+(?==)", " ".join(argument for name, argument in instructions if name == "ENV"))
    assert set(given) <= {config.PREFIX + name.upper() for name in config.Settings.model_fields}
    assert json.loads(instructions[-1][1]) == ["mm", "serve"]


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that responds to /healthz with 200, and to other paths with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_health_check_of_the_image_works(instructions, port):
    (argument,) = [argument for name, argument in instructions if name == "HEALTHCHECK"]
    command = json.loads(argument[argument.index("[") :])

    def status(number: int) -> int:
        environment = {"PATH": os.environ["PATH"], "MM_PORT": str(number), "http_proxy": "http://127.0.0.1:1"}
        return subprocess.run(
            [sys.executable, *command[1:]], env=environment, capture_output=True, check=False
        ).returncode

    assert command[0] == "python"
    assert status(port) == 0
    assert status(1) == 1


# Workflow and files


def test_workflow_uses_only_existing_targets_and_commands():
    workflow = yaml.safe_load(text(".github/workflows/ci.yml"))
    assert set(workflow["jobs"]) == {"check", "test", "outside", "migrate", "wheel", "image"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    runs = "\n".join(step["run"] for step in steps if "run" in step)
    assert set(re.findall(r"^make ([\w-]+)", runs, re.MULTILINE)) <= MAKE_TARGETS
    assert re.findall(r"(?:mm migrate|alembic downgrade base)$", runs, re.MULTILINE) == [
        "mm migrate",
        "alembic downgrade base",
        "mm migrate",
    ]


def test_no_file_contains_registry_urls_or_local_paths():
    try:
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z"],  # noqa: S607 -- the one on the PATH
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout")
    foreign = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and (match := FOREIGN.search(path.read_bytes().decode(errors="replace"))):
            foreign.append(f"{name}: {match[0]}")
    assert foreign == []
