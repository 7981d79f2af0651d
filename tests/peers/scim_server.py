"""A real SCIM 2.0 service provider (scim2-server) on loopback, in its own process.

It knows the core and enterprise schemas and latchd's extension (docs/scim-extension.json), wants a bearer token,
and prints one JSON line ``{"port": …, "url": …}`` when it is ready. ``running_scim_server`` starts one;
``ScimClient`` fills it through SCIM itself.
"""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

TOKEN = "a-token-for-tests"
LATCHD_URN = "urn:ietf:params:scim:schemas:extension:latchd:2.0:User"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

_EXTENSION = Path(__file__).resolve().parents[2] / "docs" / "scim-extension.json"


@dataclass(slots=True)
class ScimClient:
    """What an identity provider does to a service provider: create, change and delete people and groups."""

    url: str
    token: str = TOKEN
    session: requests.Session = field(default_factory=requests.Session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def call(self, method: str, path: str, document: Any = None) -> Any:
        """One request; the parsed answer, or ``None`` if there is none. Raises on an error status."""
        response = self.session.request(
            method,
            f"{self.url}/{path}",
            json=document,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"},
            timeout=30,
        )
        response.raise_for_status()
        return response.json() if response.content else None

    def create_user(
        self,
        user_name: str,
        name: str | None = None,
        *,
        cards: str | None = None,
        extension: dict[str, Any] | None = None,
        **attributes: Any,
    ) -> str:
        """A new user, ``cards`` as latchd's compact string; returns the id."""
        return str(self.call("POST", "Users", user_document(user_name, name, cards, extension, attributes))["id"])

    def create_group(self, name: str, members: Sequence[str] = (), **attributes: Any) -> str:
        """A new group of the people (or groups) with these ids; returns its id."""
        return str(self.call("POST", "Groups", group_document(name, members, attributes))["id"])

    def create_many(self, path: str, documents: Sequence[dict[str, Any]]) -> list[str]:
        """Many resources at once, in bulk requests; returns their ids in order."""
        ids: list[str] = []
        for start in range(0, len(documents), 500):
            operations = [
                {"method": "POST", "path": f"/{path}", "bulkId": f"b{index}", "data": document}
                for index, document in enumerate(documents[start : start + 500])
            ]
            answer = self.call("POST", "Bulk", {"schemas": [BULK_URN], "Operations": operations})
            for operation in answer["Operations"]:
                assert str(operation["status"]) == "201", operation
                ids.append(operation["location"].rpartition("/")[2])
        return ids

    def patch(self, path: str, *operations: dict[str, Any]) -> None:
        """PATCH with operations as in RFC 7644 section 3.5.2."""
        self.call("PATCH", path, {"schemas": [PATCH_URN], "Operations": list(operations)})

    def set_active(self, user_id: str, active: bool) -> None:
        """Deactivate a person, or activate again."""
        self.patch(f"Users/{user_id}", {"op": "replace", "path": "active", "value": active})

    def set_cards(self, user_id: str, cards: str) -> None:
        """Give a person other cards."""
        self.patch(f"Users/{user_id}", {"op": "replace", "path": f"{LATCHD_URN}:cards", "value": cards})

    def add_member(self, group_id: str, user_id: str) -> None:
        """Put a person into a group."""
        self.patch(f"Groups/{group_id}", {"op": "add", "path": "members", "value": [{"value": user_id}]})

    def remove_member(self, group_id: str, user_id: str) -> None:
        """Take a person out of a group."""
        self.patch(f"Groups/{group_id}", {"op": "remove", "path": f'members[value eq "{user_id}"]'})

    def rename_group(self, group_id: str, name: str) -> None:
        """Give a group another displayName."""
        self.patch(f"Groups/{group_id}", {"op": "replace", "path": "displayName", "value": name})

    def delete(self, path: str) -> None:
        """Delete ``Users/ID`` or ``Groups/ID``."""
        self.call("DELETE", path)


def user_document(
    user_name: str,
    name: str | None = None,
    cards: str | None = None,
    extension: dict[str, Any] | None = None,
    attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A SCIM User as an identity provider writes it."""
    document: dict[str, Any] = {
        "schemas": [USER_URN],
        "userName": user_name,
        "displayName": name or user_name,
        "active": True,
        **(attributes or {}),
    }
    own = {**(extension or {}), **({"cards": cards} if cards else {})}
    if own:
        document["schemas"].append(LATCHD_URN)
        document[LATCHD_URN] = own
    if ENTERPRISE_URN in document:
        document["schemas"].append(ENTERPRISE_URN)
    return document


def group_document(
    name: str, members: Sequence[str] = (), attributes: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A SCIM Group."""
    return {
        "schemas": [GROUP_URN],
        "displayName": name,
        "members": [{"value": member} for member in members],
        **(attributes or {}),
    }


@dataclass(frozen=True, slots=True)
class ScimServer:
    """A server that runs: its base URL, token, port and process."""

    url: str
    port: int
    token: str
    process: subprocess.Popen[str]

    def client(self) -> ScimClient:
        """A client with the right token."""
        return ScimClient(self.url, self.token)

    def stop(self) -> None:
        """End the process at once; nothing answers afterwards. May be called twice."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start_scim_server(
    *, port: int = 0, token: str = TOKEN, cursor: bool = False, max_page_size: int = 1000
) -> ScimServer:
    """Start a server in its own process and wait until it is ready; the caller stops it."""
    command = [
        sys.executable,
        __file__,
        "--port",
        str(port),
        "--token",
        token,
        "--max-page-size",
        str(max_page_size),
    ]
    if cursor:
        command.append("--cursor")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    ready = process.stdout.readline()
    if not ready:
        process.wait()
        process.stdout.close()
        raise RuntimeError(f"the SCIM server ended with status {process.returncode} before it was ready")
    answer = json.loads(ready)
    return ScimServer(answer["url"], answer["port"], token, process)


@contextmanager
def running_scim_server(
    *, port: int = 0, token: str = TOKEN, cursor: bool = False, max_page_size: int = 1000
) -> Iterator[ScimServer]:
    """A server for the time of a ``with`` block."""
    server = start_scim_server(port=port, token=token, cursor=cursor, max_page_size=max_page_size)
    try:
        yield server
    finally:
        server.stop()


def serve(port: int, token: str, cursor: bool, max_page_size: int) -> None:
    """Serve until killed."""
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    from scim2_models import ResourceType, Schema, ScimProvider, ServiceProviderConfig
    from scim2_server.memory import InMemoryStorage
    from scim2_server.service import ScimService
    from scim2_server.testserver.application import BearerTokenApplication
    from scim2_server.testserver.cli import ThreadingWSGIServer
    from scim2_server.utils import load_default_schemas, load_json_resource

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: standard output is for the line that says where the server is."""

    logging.disable(logging.CRITICAL)

    class Numbered(InMemoryStorage):
        """Ids that are decimal numbers, as some servers have them (and write them as integers)."""

        def generate_id(self, resource_type: ResourceType, resource: Any) -> str:
            """A random id that no other resource has had."""
            del resource_type, resource
            return str(secrets.randbelow(10**15) + 10**15)

    schemas = [
        *load_default_schemas().values(),
        Schema.model_validate_json(_EXTENSION.read_text(encoding="utf-8")),
    ]
    types = load_json_resource("default-resource-types.json")
    types[0]["schemaExtensions"].append({"schema": LATCHD_URN, "required": False})
    config = load_json_resource("default-service-provider-config.json")
    config["filter"]["maxResults"] = max_page_size
    if cursor:
        config["pagination"] = {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": min(100, max_page_size),
            "maxPageSize": max_page_size,
        }
    provider = ScimProvider.from_discovery(
        schemas,
        [ResourceType.model_validate(kind) for kind in types],
        config=ServiceProviderConfig.model_validate(config),
    )
    service = ScimService(provider, secret=secrets.token_urlsafe(32))
    application = BearerTokenApplication(Numbered(), provider, service=service, bearer_tokens=[token])
    with make_server(
        "127.0.0.1", port, application, server_class=ThreadingWSGIServer, handler_class=Quiet
    ) as server:
        print(
            json.dumps({"port": server.server_port, "url": f"http://127.0.0.1:{server.server_port}/v2"}),
            flush=True,
        )
        server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="A SCIM 2.0 service provider on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--cursor", action="store_true", help="page by cursor too (RFC 9865)")
    parser.add_argument("--max-page-size", type=int, default=1000)
    given = parser.parse_args()
    serve(given.port, given.token, given.cursor, given.max_page_size)


if __name__ == "__main__":
    main()
