"""The sync process: the sync service, its schedule and its control socket, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cache.directory.store import Store
from daemon import notify
from daemon.config.paths import Paths
from daemon.config.secrets import SITE_KEY_BYTES, decode_key, read_secret
from daemon.config.site import Site
from daemon.control.permissions import Permissions
from daemon.control.server import ControlServer
from daemon.control.sync_commands import SyncCommands
from daemon.errors import ConfigError
from daemon.processes.memory import keep_private
from daemon.scim.cards import CardMapper
from daemon.sync.scheduler import SyncLoop
from daemon.sync.service import SyncService

LAST_WORD = 3.0
"""Seconds that a server has to answer the request that was on its way when the process was stopped."""

log = logging.getLogger(__name__)


@contextmanager
def sync_service(site: Site) -> Iterator[SyncService]:
    """The sync service of a site, with cache.db open for writing. ``ConfigError``: the site has no [scim]."""
    settings = site.tables.scim
    if settings is None:
        raise ConfigError("the site file has no [scim] table: there is nothing to sync from")
    key = decode_key(read_secret(site.tables.site.key), SITE_KEY_BYTES)
    mapper = CardMapper(settings.credential, site.formats, key, site.zone, pin_length=site.tables.pin.length)
    with Store(Paths.of(site).prepare_sync().cache, heal_at=datetime.now(UTC)) as store:
        yield SyncService(
            settings,
            store,
            mapper,
            site.references,
            read_secret,
            brake=site.brake,
            doors=site.doors_by_reference,
        )


async def serve_sync(site: Site, service: SyncService) -> None:
    """Sync on schedule and answer the control socket until SIGTERM or SIGINT."""
    keep_private()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    syncing = SyncLoop(service)
    settings = site.tables.control
    permissions = Permissions(settings.operators, settings.viewers)
    server = ControlServer(Path(settings.sync_socket), permissions, SyncCommands(syncing).commands())
    with suppress(asyncio.CancelledError):
        try:
            await server.start_sooner_or_later()
            log.info("syncing from %s; see `latchctl sync status`", service.settings.url)
            async with asyncio.TaskGroup() as group:
                group.create_task(syncing.serve(), name="sync")
                group.create_task(notify.keep_alive(), name="watchdog")
                notify.ready("syncing")
        finally:
            notify.stopping()
            await server.stop()
            if not await asyncio.to_thread(service.idle, LAST_WORD):
                # Its thread cannot be broken off. Nothing is lost: a sync applies as a whole or not at all.
                log.warning("SCIM server not responding; exiting without waiting")
                os._exit(0)
