"""Settings: environment variables `MM_*`, or the same names in a file `.env`."""

import os
import re
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from machine_monitor.errors import BadSetting
from machine_monitor.suggestions import did_you_mean

PREFIX = "MM_"
ENV_FILE = Path(".env")
# Names of the client and of the test suite. They may be set in the same environment: they are not reported as unknown.
FOREIGN_NAMES = {"MM_URL", "MM_TOKEN", "MM_TEST_DATABASE_URL"}

MAX_FILE_BYTES = 2 * 1024**3
MAX_CACHE_BYTES = 1024**3
_SECONDS = "a number of seconds, more than 0 and at most 3600"
_FLAG = "true or false"
# The values of the settings that are neither texts nor lists nor time zones.
EXPECTED = {
    "port": "an integer from 0 to 65535",
    "query_timeout": _SECONDS,
    "head_timeout": _SECONDS,
    "body_timeout": _SECONDS,
    "log_level": "debug, info, warning or error",
    "log_format": "auto, json or text",
    "max_file": "a size, at most 2GiB, such as 25MiB",
    "cache_size": "a size, at most 1GiB, such as 16MiB, or 0",
    "anonymous": "off or read",
    "unlisted": "on or off",
    "open": _FLAG,
    "https": _FLAG,
    "require_if_match": _FLAG,
}

_PATH_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_zone_names = cache(available_timezones)  # reads about 600 files


def _zone_name(name: object) -> object:
    if name in _zone_names():
        return name
    message = f"there is no time zone '{name}'.{did_you_mean(str(name), sorted(_zone_names()))}"
    raise ValueError(message)


def _split_list(value: object) -> object:
    """Split `a, b` into a list: an environment variable is one string."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _parse_root_path(value: object) -> object:
    """Return a path that begins with a slash and does not end with one; empty for the root."""
    path = str(value).strip("/")
    segments = path.split("/") if path else []
    if not all(_PATH_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments):
        message = "write a path such as /plant, of letters, digits and - . _ ~"
        raise ValueError(message)
    return f"/{path}" if path else ""


class Settings(BaseSettings):
    """The settings. Each field is read from the environment variable `MM_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore")

    database_url: str = Field(
        default="sqlite:///machine-monitor.db",
        description="The database: an SQLite or PostgreSQL URL.",
    )
    database_read_url: str = Field(
        default="",
        description="A standby of the PostgreSQL server, which answers lists and other reads. Default: none.",
    )
    host: str = Field(default="127.0.0.1", description="The address that `serve` listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port that `serve` listens on.")
    root_path: Annotated[str, BeforeValidator(_parse_root_path)] = Field(
        default="",
        description="The path below which a proxy publishes the service, such as `/plant`; set by `serve --root-path`.",
    )
    timezone: Annotated[str, BeforeValidator(_zone_name)] = Field(
        default="UTC",
        description="The site's time zone (IANA name), for days and for times without an offset.",
    )
    query_timeout: float = Field(default=5.0, gt=0, le=3600, description="The maximum duration of a query, in seconds.")
    cors_origins: Annotated[list[str], NoDecode, BeforeValidator(_split_list)] = Field(
        default=[],
        description="Origins of other web frontends that may call the API, separated by commas.",
    )
    allowed_hosts: Annotated[list[str], NoDecode, BeforeValidator(_split_list)] = Field(
        default=[],
        description="Public host names, separated by commas; IP addresses and private names always work.",
    )
    head_timeout: float = Field(
        default=10.0, gt=0, le=3600, description="The time for receiving the head of a request, in seconds."
    )
    body_timeout: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="The time for receiving the body of a request, in seconds, plus one second per 16 KiB.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The log level: debug, info, warning or error."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="The log format: json, text, or auto (text on a terminal, otherwise JSON)."
    )
    anonymous: Literal["off", "read"] = Field(
        default="off",
        description="Access without an account: off, or read for read-only access.",
    )
    open: bool = Field(
        default=False,
        description="Allow full access without an account, until the first account exists; set by `serve --open`.",
    )
    https: bool = Field(
        default=False,
        description="Serve HTTPS with a certificate authority of its own; set by `serve --https`.",
    )
    https_folder: str = Field(
        default="",
        description=(
            "The folder of that authority. Default: `NAME-https` beside the SQLite file NAME; "
            "with PostgreSQL, `machine-monitor-https` in the working directory."
        ),
    )
    files: str = Field(
        default="",
        description=(
            "The folder of the attachments. Default: `NAME-files` beside the SQLite file NAME; "
            "with PostgreSQL there is none, and uploads are refused."
        ),
    )
    max_file: ByteSize = Field(
        default=ByteSize(25 * 1024 * 1024),
        ge=1,
        le=MAX_FILE_BYTES,
        description="The maximum size of an attachment, in bytes or as `25MiB`.",
    )
    cache_size: ByteSize = Field(
        default=ByteSize(16 * 1024 * 1024),
        ge=0,
        le=MAX_CACHE_BYTES,
        description="The memory in which each process caches responses, in bytes or as `16MiB`; 0 caches none.",
    )
    unlisted: Literal["on", "off"] = Field(
        default="on",
        description="Whether a log with `unlisted` may create the machine that it names: on or off.",
    )
    require_if_match: bool = Field(
        default=False,
        description="Whether PUT, PATCH and DELETE of an existing record require `If-Match`.",
    )

    @cached_property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)


def load() -> Settings:
    """Read the settings of this process; raises `BadSetting`, which names every invalid setting."""
    _reject_unknown_names()
    try:
        return Settings()
    except ValidationError as error:
        sentences = [_explain(dict(detail)) for detail in error.errors(include_url=False, include_input=False)]
        raise BadSetting(" ".join(sentences)) from None


def _explain(detail: dict[str, Any]) -> str:
    """Return the sentence for an invalid setting; Pydantic's messages do not say which values a setting can have."""
    field = str(detail["loc"][0])
    name = f"{PREFIX}{field.upper()}"
    if detail["type"] == "value_error":
        return f"{name}: {detail['ctx']['error']}"
    return f"{name} must be {EXPECTED.get(field, 'a text')}."


def zone(name: str) -> ZoneInfo:
    """Return the time zone of this name; raises `BadSetting`, which suggests a similar name."""
    try:
        _zone_name(name)
    except ValueError as error:
        raise BadSetting(f"T{str(error)[1:]}") from None
    return ZoneInfo(name)


def _reject_unknown_names() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | FOREIGN_NAMES
    given = {*os.environ, *dotenv_values(ENV_FILE)}
    for name in sorted(given):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise BadSetting(f"There is no setting {name}.{did_you_mean(name.upper(), sorted(known))}")
