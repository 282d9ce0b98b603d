"""Completes the OpenAPI document that FastAPI generates: words for readers, examples, media types, security."""

import re
from collections.abc import Iterator
from typing import Any

from machine_monitor.api import access, problems
from machine_monitor.api.openapi import examples, imports

MERGE_PATCH_TYPE = "application/merge-patch+json"
DESCRIPTION = """\
Sign in with `POST /session` (a cookie), or create a token in the console or with `mm token add` and send it as
`Authorization: Bearer <token>`. An error is `application/problem+json`, and says what was expected. A list has pages:
follow `next` or the `Link` header. Send a record's `ETag` as `If-Match` to change the version that you have read.
If a response has the header `X-Read-After`, send it with your next reads: a standby server that is behind then does not
answer them.
"""
TAGS = {
    "logs": "Interventions: a breakdown, a repair, a check.",
    "machines": "The machines of the site.",
    "attachments": "Files of interventions and machines: photos, manuals.",
    "log types": "The kinds of intervention that the site has chosen.",
    "reliability": "How often machines fail, and how long they stand.",
    "reports": "A period beside the one before, as a page or a workbook.",
    "users": "The people who record interventions.",
    "imports": "Tables of other programs, and how they become records.",
    "changes": "The history of all records, to read or to follow.",
    "tokens": "Credentials of programs.",
    "account": "Passwords, sessions and invitations.",
    "service": "The state of the service and its documents.",
}
FIRST_SENTENCE = re.compile(r"(.+?)\.(?:\s+|$)(.*)", re.DOTALL)
# FastAPI declares its own response for invalid parameters, which this API never sends.
FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")


def finish(document: dict[str, Any]) -> dict[str, Any]:
    """Complete FastAPI's document."""
    document["info"] |= {"description": DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}}
    document["servers"] = servers("")
    document["tags"] = [{"name": name, "description": sentence} for name, sentence in TAGS.items()]
    for operation in _operations(document):
        _describe(operation)
        _add_examples(operation)
        _correct_responses(operation)
    components = document["components"]
    components["schemas"] |= imports.mapping_schemas()
    components["securitySchemes"] = access.SECURITY_SCHEMES
    for name in FASTAPI_ERRORS:
        components["schemas"].pop(name, None)
    for name in examples.BODIES.keys() & components["schemas"].keys():
        _describe_defaults(components["schemas"][name])
    return document


def servers(root_path: str) -> list[dict[str, str]]:
    """Return the `servers` of the document: the service is where the document is."""
    return [{"url": root_path or "/"}]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _describe(operation: dict[str, Any]) -> None:
    """Make the first sentence of the docstring the summary, and the rest the description."""
    if match := FIRST_SENTENCE.fullmatch(operation.get("description", "")):
        operation["summary"], operation["description"] = match.groups()


def _add_examples(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        found = examples.PATHS_OF_IMPORTS if operation["tags"] == ["imports"] else examples.PATH_PARAMETERS
        if parameter["in"] == "path" and parameter["name"] in found:
            parameter["example"] = found[parameter["name"]]
    if body := operation.get("requestBody"):
        json_body = body["content"].get("application/json")
        if json_body is None:
            return
        if example := examples.BODIES.get(json_body["schema"]["$ref"].rpartition("/")[2]):
            json_body["example"] = example
        if operation["operationId"].startswith("update_"):
            body["content"][MERGE_PATCH_TYPE] = json_body


def _correct_responses(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if FASTAPI_ERRORS[0] in str(responses.get("422")):
        del responses["422"]
    for status, response in responses.items():
        if status >= "400" and "content" in response:
            response["content"] = {problems.MEDIA_TYPE: next(iter(response["content"].values()))}


def _describe_defaults(schema: dict[str, Any]) -> None:
    """Say defaults in the description instead: client generators take a field with `default` as one always sent."""
    for field in schema.get("properties", {}).values():
        if "default" in field:
            default = field.pop("default")
            text = str(default).lower() if isinstance(default, bool) else default
            field["description"] = f"{field['description']} Default: {text}."
