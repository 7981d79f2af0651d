"""The doors process: the loop and its control socket, until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from pathlib import Path

from daemon import notify
from daemon.config.site import Site
from daemon.control.doors_commands import DoorsCommands
from daemon.control.permissions import Permissions
from daemon.control.reader_commands import ReaderCommands
from daemon.control.server import ControlServer
from daemon.doors.loop import Doors
from daemon.processes.memory import keep_private

log = logging.getLogger(__name__)


async def serve_doors(site: Site) -> None:
    """Run the doors process until SIGTERM or SIGINT."""
    keep_private()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    async with Doors(site) as running:
        desk = DoorsCommands(running)
        commands = {**desk.commands(), **ReaderCommands(running).commands()}
        settings = site.tables.control
        permissions = Permissions(settings.operators, settings.viewers)
        server = ControlServer(Path(settings.socket), permissions, commands)
        try:
            await server.start_sooner_or_later()
            settle_memory()
            log.info("serving %s, doors: %d; see `latchctl status`", site.name, len(site.tables.door))
            await running.run()
        except asyncio.CancelledError:
            return
        finally:
            notify.stopping()
            await server.stop()
            await desk.close()


def settle_memory() -> None:
    """Take what was made until now out of the collector's rounds: a whole one would hold up the doors for 25 ms.

    These are modules, settings and schedules, some 50,000 objects, which stay until the end.
    """
    gc.collect()
    gc.freeze()
