"""The little site file of the tests: one head, one door, and the tables that a test is about.

``{here}`` in the text is the folder of the test; ``str.format`` puts it in, so no other braces are used.
"""

from __future__ import annotations


def site_text(*tables: str, timezone: str = "UTC", key: str = "file:{here}/key", simulated: bool = False) -> str:
    """A site file with its state and its sockets in ``{here}``."""
    head = f"""\
[site]
name = "Bench"
timezone = "{timezone}"
key = "{key}"
[state]
directory = "{{here}}/state"
[control]
socket = "{{here}}/control.sock"
sync_socket = "{{here}}/sync.sock"
"""
    return "allow_simulation = true\n" * simulated + head + "".join(tables)


def sim_door(bus: str = "", door: str = "") -> str:
    """A simulated reader, board and lock, with more lines for the bus and for the door."""
    return f"""\
[bus.bench]
driver = "sim"
{bus}[reader.lobby-in]
bus = "bench"
[board.main]
bus = "bench"
[door.lobby]
entry = "lobby-in"
lock = "main.out1"
{door}"""


def osdp_door(port: str, key: str) -> str:
    """An OSDP reader whose own relay is the lock."""
    return f"""\
[bus.readers]
driver = "osdp"
port = "{port}"
[reader.lobby-in]
bus = "readers"
address = 0
secure_channel = "required"
key = "{key}"
[door.lobby]
entry = "lobby-in"
lock = "reader:lobby-in/out0"
"""


def level(name: str, group: str = "Staff", more: str = "") -> str:
    """An access level for the door."""
    return f"""\
[[access_level]]
name = "{name}"
groups = ["{group}"]
doors = ["lobby"]
{more}"""


def scim(url: str, token: str, more: str = "") -> str:
    """The SCIM server of the site."""
    return f"""\
[scim]
url = "{url}"
token = "{token}"
groups = ["Staff"]
{more}"""
