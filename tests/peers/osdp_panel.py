#!/usr/bin/env python3
"""libosdp's own control panel on one tap of the paced bus, to be compared with ours.

    osdp_panel.py --port DIR/cp --count 8 --baud 9600 --key HEX32

It is given whole frames only, for its wheels drop those that come in pieces, and is called at each of them and
every 5 ms, more often than its own thread does (20 ms). Prints JSON lines: ``ready``, ``online`` once all readers
have their channel, and ``card`` with its number and ``t``, CLOCK_MONOTONIC seconds.
"""

from __future__ import annotations

import argparse
import select
import sys
import time
from typing import Any

import osdp
from osdp_reader import Wire, say

TICK = 0.005


class Line(Wire):
    """The tty of the panel: what it writes is no answer to anything."""

    def write(self, buf: bytes) -> int:
        return self._put(buf)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--key", required=True)
    options = parser.parse_args()
    line = Line(options.port, options.baud, 0)
    line.addresses = {0x80 | address for address in range(options.count)}
    while not line.open():
        time.sleep(0.01)

    def event(number: int, what: dict[str, Any]) -> int:
        if what["event"] == osdp.Event.CardRead:
            value = int.from_bytes(what["data"], "big") >> (-what["length"] % 8)
            say("card", value=value, reader=number)
        return 0

    readers = [
        osdp.PDInfo(address, line, scbk=bytes.fromhex(options.key), flags=[osdp.LibFlag.EnforceSecure])
        for address in range(options.count)
    ]
    panel = osdp.ControlPanel(readers, log_level=osdp.LogLevel.Emergency, event_handler=event)
    say("ready")
    online = False
    while True:
        readable, _, _ = select.select([line.fd], [], [], TICK)
        if readable:
            for frame in line.gather():
                line.frame = frame
                panel.ctx.refresh()
        panel.ctx.refresh()
        if not online and panel.ctx.sc_status() == (1 << options.count) - 1:
            online = True
            say("online")


if __name__ == "__main__":
    sys.exit(main())
