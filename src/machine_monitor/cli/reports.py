"""Print the results of commands as tables and lines for people."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

OUTCOMES = ("created", "updated", "unchanged", "conflict", "rejected")
LEVELS = {"error": "red", "note": "yellow"}


def print_sync(report: dict[str, Any], *, dry_run: bool) -> None:
    """Print the outcomes and problems of a sync."""
    console = Console()
    _print_outcomes(console, report, dry_run=dry_run)
    for problem in report["problems"]:
        location = problem["file"] + (f" ({problem['field']})" if problem["field"] else "")
        line = Text.assemble((problem["level"], LEVELS[problem["level"]]), f" {location}: {problem['message']}")
        console.print(line, soft_wrap=True)


def print_import(report: dict[str, Any], *, dry_run: bool) -> None:
    """Print the outcomes of an import, and its problems with their number and first rows."""
    console = Console()
    _print_outcomes(console, report, dry_run=dry_run)
    for problem in report["problems"]:
        value = "" if problem["value"] is None else f" '{problem['value']}'"
        place = f" {problem['field']}{value}:" if problem["field"] else f"{value}:" if value else ""
        rows = ", ".join(map(str, problem["rows"]))
        more = ", ..." if problem["count"] > len(problem["rows"]) else ""
        where = f" [{problem['count']} x, {problem['file'].rpartition(':')[0]}:{rows}{more}]" if rows else ""
        line = Text.assemble((problem["level"], LEVELS[problem["level"]]), f"{place} {problem['message']}{where}")
        console.print(line, soft_wrap=True)


def _print_outcomes(console: Console, report: dict[str, Any], *, dry_run: bool) -> None:
    table = Table("", *OUTCOMES, title="Dry run: this would be done" if dry_run else None, title_justify="left")
    for name in ("machines", "logs", "users", "log_types"):
        table.add_row(name.replace("_", " "), *[str(report[name][outcome]) for outcome in OUTCOMES])
    console.print(table)
    if report.get("ignored"):
        console.print(f"files ignored: {report['ignored']}")
    if report.get("skipped"):
        console.print(f"rows skipped: {report['skipped']}")


def print_export(report: dict[str, Any]) -> None:
    """Print what an export in the legacy format wrote, and what that format cannot store."""
    console = Console()
    console.print(", ".join(f"{report[name]} {name}" for name in ("machines", "logs", "users")) + " written")
    for what, count in report["not_held"].items():
        console.print(f"cannot be stored in the legacy format: {what} of {count} records")


def print_users(users: list[dict[str, Any]]) -> None:
    """Print users, one per line."""
    table = Table("trigram", "first name", "last name", "role", "active")
    for user in users:
        names = [Text(user["first_name"] or ""), Text(user["last_name"] or "")]
        table.add_row(user["trigram"], *names, user["role"], "yes" if user["active"] else "no")
    Console().print(table)


def print_tokens(tokens: list[dict[str, Any]]) -> None:
    """Print tokens, one per line, with times to the minute: all columns fit in 80 characters."""
    table = Table("id", "name", "user", "scope", "expires (UTC)", "last used (UTC)")
    for token in tokens:
        times = [_to_minute(token[name]) for name in ("expires_at", "last_used_at")]
        table.add_row(*[Text(str(token[name])) for name in ("id", "name", "user", "scope")], *times)
    Console().print(table)


def print_mappings(mappings: list[dict[str, Any]]) -> None:
    """Print saved mappings, one per line."""
    table = Table("name", "resource", "user", "saved (UTC)")
    for mapping in mappings:
        texts = [Text(mapping[name] or "") for name in ("name", "resource", "user")]
        table.add_row(*texts, _to_minute(mapping["updated_at"]))
    Console().print(table)


def _to_minute(time: str | None) -> str:
    return (time or "")[:16].replace("T", " ")
