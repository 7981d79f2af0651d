"""What a whole sync costs latchd, compared with a bare requests + json loop over the same pages.

For 10,000 people with 50,000 memberships, and 50,000 and 100,000 with 500,000 (or as given), prints seconds of
CPU, the resident peak and the bytes written to cache.db of a first sync, of the next one, which still reads
everything, and of one that gets the same answers; and the ratio to the bare loop. Each is a process of its own
over HTTP on loopback. The server is a process of canned pages; its time is not counted.

    python benchmarks/sync.py [PEOPLE GROUPS MEMBERSHIPS]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

ROOT = Path(__file__).parent.parent
SERVER = "tests.peers.scim_canned"
DEFAULT = (("10000", "200", "50000"), ("50000", "200", "500000"), ("100000", "200", "500000"))


@contextmanager
def served(*counts: str) -> Iterator[str]:
    """The URL of a server with so many people, groups and memberships."""
    command = [sys.executable, "-m", SERVER, *counts]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


def bare(url: str) -> None:
    """Read every page with requests and json, and do nothing with it."""
    import requests

    with requests.Session() as session:
        for kind in ("Users", "Groups"):
            start = total = 1
            while start <= total:
                answer = session.get(f"{url}/{kind}", params={"startIndex": start, "count": 100}, timeout=60)
                document = answer.json()
                total = document["totalResults"]
                start += len(document["Resources"])


def whole(url: str, database: Path) -> None:
    """One sync as ``latchd sync --once`` does it."""
    from cache.directory.store import Store
    from tests.peers.scim_site import sync_service

    with Store(database) as store:
        outcome = sync_service(store, url, page_size=100).run_once()
    assert outcome.complete, outcome.text


def child(what: str, url: str, database: str) -> None:
    """Measure one of them in this process; prints CPU seconds beyond the imports, and the peak."""
    import requests  # noqa: F401 - imports are not counted

    import tests.peers.scim_site  # noqa: F401

    start = time.process_time()
    if what == "bare":
        bare(url)
    else:
        whole(url, Path(database))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.process_time() - start, peak]))


def measured(what: str, url: str, database: Path) -> tuple[float, float, int]:
    """CPU seconds, resident peak in MB, bytes written to cache.db and its -wal."""
    before = contents(database)
    command = [sys.executable, __file__, "--child", what, url, str(database)]
    cpu, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    after = contents(database)
    written = 0 if after == before else sum(len(part) for part in after)
    return cpu, peak, written


def contents(database: Path) -> list[bytes]:
    """What is in cache.db and its -wal."""
    return [
        path.read_bytes() if path.exists() else b""
        for path in (database, database.with_name(database.name + "-wal"))
    ]


def main() -> None:
    """Print the tables."""
    for counts in [tuple(sys.argv[1:])] if sys.argv[1:] else DEFAULT:
        table(*counts)


def table(*counts: str) -> None:
    """Print one table."""
    with tempfile.TemporaryDirectory() as directory, served(*counts) as url:
        database = Path(directory, "cache.db")
        print("{} people, {} groups, {} memberships".format(*counts))
        print(f"{'':<18}{'CPU s':>8}{'ratio':>8}{'peak MB':>10}{'written':>12}")
        loop, peak, _ = measured("bare", url, Path(directory, "none.db"))
        print(f"{'requests + json':<18}{loop:>8.2f}{1:>8.1f}{peak:>10.0f}{'':>12}")
        for what in ("first sync", "next sync", "unchanged sync"):
            cpu, peak, written = measured("sync", url, database)
            print(f"{what:<18}{cpu:>8.2f}{cpu / loop:>8.1f}{peak:>10.0f}{written:>12}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:5])
    else:
        main()
