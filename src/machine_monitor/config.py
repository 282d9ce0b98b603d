"""Settings: environment variables `MM_*`, or the same names in a file `.env`."""

import os
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from machine_monitor.errors import BadSetting
from machine_monitor.suggestions import nearest

PREFIX = "MM_"
ENV_FILE = Path(".env")
# Read by the test suite and by nothing else; it may stand in the same environment.
FOREIGN_NAMES = {"MM_TEST_DATABASE_URL"}


_zone_names = cache(available_timezones)  # reads some six hundred files


def _zone_name(name: object) -> object:
    if name in _zone_names():
        return name
    message = f"there is no such time zone.{nearest(str(name), sorted(_zone_names()))}"
    raise ValueError(message)


def _words(value: object) -> object:
    """Split `a, b` into its parts: an environment variable is one string."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


class Settings(BaseSettings):
    """What a deployment can choose; every field is an environment variable `MM_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore")

    database_url: str = Field(
        default="sqlite:///machine-monitor.db",
        description="Where the records are: any spelling of an SQLite or PostgreSQL URL.",
    )
    host: str = Field(default="127.0.0.1", description="The address that `serve` listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port that `serve` listens on.")
    timezone: Annotated[str, BeforeValidator(_zone_name)] = Field(
        default="UTC",
        description="The site's time zone, by its IANA name: for times without an offset and for days.",
    )
    query_timeout: float = Field(default=5.0, gt=0, le=3600, description="Seconds after which a query is stopped.")
    cors_origins: Annotated[list[str], NoDecode, BeforeValidator(_words)] = Field(
        default=[],
        description="Origins of web frontends that may call the API, separated by commas.",
    )
    allowed_hosts: Annotated[list[str], NoDecode, BeforeValidator(_words)] = Field(
        default=[],
        description="Names that the service goes by beside addresses and private names, separated by commas.",
    )
    head_timeout: float = Field(
        default=10.0, gt=0, le=3600, description="Seconds in which the whole head of a request has to arrive."
    )
    body_timeout: float = Field(
        default=30.0, gt=0, le=3600, description="Seconds for a request's body, and one more for each 16 KiB of it."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What the log tells: debug, info, warning or error."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="How: json, text, or auto for text on a terminal and JSON elsewhere."
    )
    anonymous: Literal["off", "read"] = Field(
        default="off",
        description="Whether anyone may read without an account: off or read.",
    )
    open: bool = Field(
        default=False,
        description="Whether anyone may read and write while there is no account at all; `serve --open` sets it.",
    )
    require_if_match: bool = Field(
        default=False,
        description="Whether PUT, PATCH and DELETE of an existing record need an `If-Match`.",
    )

    @cached_property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)


def load() -> Settings:
    """Read the settings of this process; raises `BadSetting` with one sentence a fault."""
    _refuse_unknown_names()
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            f"{PREFIX}{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise BadSetting("; ".join(faults)) from None


def zone(name: str) -> ZoneInfo:
    """The time zone of this name; raises `BadSetting` that names the nearest."""
    try:
        _zone_name(name)
    except ValueError as error:
        raise BadSetting(f"{name}: {error}") from None
    return ZoneInfo(name)


def _refuse_unknown_names() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | FOREIGN_NAMES
    given = {*os.environ, *dotenv_values(ENV_FILE)}
    for name in sorted(given):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise BadSetting(f"There is no setting {name}.{nearest(name.upper(), sorted(known))}")
