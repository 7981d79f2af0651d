"""latchd's two units under systemd, installed as docs/install.md says: a card opens a relay, trouble never does.

Two boots: the second begins where `reboot` of the first one leaves the machine, without a directory.
"""

from __future__ import annotations

import functools
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

import confinement_checks
from controller import (
    CONTROL,
    DOORS,
    IN_GROUP_0,
    IN_GROUP_1,
    NO_ONE,
    PATIENCE,
    SYNC,
    SYNC_CONTROL,
    Door,
    as_user,
    ask_as,
    await_another,
    bits_of,
    command,
    events,
    main_process,
    newest,
    properties,
    recorded,
    start_directory,
    status,
)  # fmt: skip
from page import blocks, type_in
from report import attempt, check, say, wait_until

REBOOTED = Path("/var/lib/system-test-rebooted")
HOUR = 3600
REFUSED, INTERNAL = 8, 70
"""Exit codes (docs/operations.md): this user may not do that; an error that nobody should meet."""
VIEWER, OPERATOR, STRANGER = "vera", "anna", "sam"


# ------------------------------------------------------------------ first boot


def install(door: Door) -> None:
    """Sections 2 to 5, in order, by somebody who types what they say."""
    chip = Path(door.chip.path)
    for section in ("2. ", "4. "):
        for block in blocks(section):
            type_in(block)
        if section == "2. ":
            rule = wait_until(lambda: access(chip) == ("latchd-doors", "660"), 5)
            check("the udev rule gives the gpiochip to latchd-doors", rule, " ".join(access(chip)))
    make_keys, reader_keys = blocks("3. ")
    type_in(make_keys, {"SCIM token:": "a-token"})
    for name in ("scbk-lobby-in", "scbk-lobby-out"):
        key = secrets.token_hex(16)
        type_in(f"echo {key} | systemd-creds encrypt --name={name} - /etc/credstore.encrypted/{name}")
    say("key", "scbk-lobby-out", key)  # for the reader, which is outside
    type_in(reader_keys)
    began = time.monotonic()
    type_in("\n".join(line for line in blocks("5. ")[0].splitlines() if not line.startswith("latchctl")))
    say("note", "both units are ready", f"{time.monotonic() - began:.1f} s after `systemctl enable --now`")


def access(path: Path) -> tuple[str, str]:
    """The group and the mode of a file."""
    return path.group(), f"{path.stat().st_mode & 0o777:o}"


def started() -> None:
    """Type=notify was reached, the first sync has filled the cache, and doors has noticed by itself."""
    for unit in (DOORS, SYNC):
        shown = properties(unit, "Type", "ActiveState", "SubState", "NRestarts", "StatusText", "UnitFileState")
        holds = shown[:4] == ["notify", "active", "running", "0"] and shown[5] == "enabled" and bool(shown[4])
        check(f"{unit} is up and told so", holds, " ".join(shown))
    filled = wait_until(lambda: status()["cache"]["people"] == 20, PATIENCE)
    check("the first sync reaches the doors process", filled, f"generation {status()['cache']['generation']}")
    failed = command("systemctl", "--failed", "--no-legend").stdout.strip()
    check("no unit of the machine has failed", not failed, failed)


def cards(door: Door) -> None:
    """Whoever may pass does, on a real line; others do not."""
    check("the reader and the strike are online", wait_until(door.online, PATIENCE), str(status()["devices"]))
    released, event = door.badge(IN_GROUP_0)
    began = time.monotonic()
    found = f"{event['name']} {event['group']}"
    check("a card at a Wiegand reader does it", released and found == "access.granted Group 0", found)
    check("the strike locks by itself", door.locks(), f"{time.monotonic() - began:.1f} s later")
    for number, reason in ((IN_GROUP_1, "no_access_here"), (NO_ONE, "unknown_credential")):
        released, event = door.badge(number)
        holds = not released and (event["name"], event["reason"]) == ("access.denied", reason)
        check(f"denied: {reason}", holds, f"{event['name']} {event['reason']}")


def osdp(door: Door) -> None:
    """A card at a reader on the other end of a serial port, through the secure channel; then it is gone."""
    secure = wait_until(lambda: all(device["online"] for device in status()["devices"]), PATIENCE)
    door.locks()
    before = newest()
    say("card", "lobby-out", bits_of(IN_GROUP_0))
    released = wait_until(door.is_released, PATIENCE)
    wait_until(functools.partial(recorded, before, "access.granted"), 2)
    read = [event["reader"] for event in events("access.granted", after=before)]
    check("a card at an OSDP reader does too", secure and released and read == ["lobby-out"], str(read))
    doctor()
    say("gone", "lobby-out")
    check(
        "an OSDP reader that is gone is told of",
        wait_until(functools.partial(recorded, before, "reader.offline"), 30),
    )


def people(door: Door) -> None:
    """Sockets are open to all, and who asks decides: viewers look, operators act, strangers neither."""
    for socket, owner in ((CONTROL, "latchd-doors"), (SYNC_CONTROL, "latchd-sync")):
        found = (socket.owner(), *access(socket))
        check(f"{socket} belongs to {owner}", found == (owner, "latchd", "666"), " ".join(found))
    pulse = {"action": "pulse", "door": "lobby", "because": "system test"}
    questions: tuple[tuple[str, Path, str, dict[str, str], int], ...] = (
        (VIEWER, CONTROL, "status", {}, 0), (VIEWER, CONTROL, "door", pulse, REFUSED),
        (VIEWER, SYNC_CONTROL, "sync status", {}, 0), (VIEWER, SYNC_CONTROL, "sync now", {}, REFUSED),
        (STRANGER, CONTROL, "events", {}, REFUSED), (STRANGER, SYNC_CONTROL, "sync status", {}, REFUSED),
    )  # fmt: skip
    for user, socket, request, arguments, code in questions:
        found = ask_as(user, socket, request, **arguments)
        check(f'{user} asks "{request}" and gets {code}', found == code, str(found))
    done = as_user(STRANGER, "latchctl", "status")
    check("latchctl tells a stranger who may", done.returncode == REFUSED, done.stdout.strip())
    done = as_user(OPERATOR, "latchctl", "door", "pulse", "lobby", "--because", "system test")
    check("latchctl acts for an operator", done.returncode == 0, done.stdout.strip()[-200:])
    check("an operator's pulse releases the strike, and it locks", door.is_released() and door.locks())
    acts = [(event["detail"].get("name"), event["detail"].get("action")) for event in events("operator")]
    check("the act is on record with the user's name", [name for name, _ in acts] == [OPERATOR], str(acts))


def doctor() -> None:
    """As root everything is looked at and sound; a technician gets what a technician may see."""
    done = command("latchctl", "doctor")
    check(
        "latchctl doctor as root finds no fault", done.returncode == 0 and "ok" in done.stdout, done.stdout[-900:]
    )
    done = as_user(OPERATOR, "latchctl", "doctor")
    sound = done.returncode == 0 and "running, 1 door" in done.stdout and "Traceback" not in done.stdout
    check("latchctl doctor as a technician", sound, f"{done.returncode}: {done.stdout[-600:]}")


def slow_network() -> None:
    """A sync over a line with delay and loss."""
    command("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "150ms", "loss", "5%")
    began = time.monotonic()
    done = command("latchctl", "sync", "now")
    command("tc", "qdisc", "del", "dev", "lo", "root")
    took = time.monotonic() - began
    check("a sync over 300 ms and 5 % loss is complete", done.returncode == 0 and took > 0.6, f"{took:.1f} s")


def clock_steps(door: Door) -> None:
    """The wall clock steps an hour ahead, two back, one ahead, each while the strike is released."""
    before = newest()
    for number, step in enumerate((HOUR, -2 * HOUR, HOUR), 1):
        released = door.release()
        began = time.monotonic()
        command("date", "--set", f"@{time.time() + step:.0f}")
        locked = door.locks(10)
        took = time.monotonic() - began
        name = f"a step of {step // HOUR:+d} h neither ends nor prolongs a release of 5 s"
        check(name, released and locked and 2 < took < 7, f"locked {took:.1f} s after it")
        wait_until(functools.partial(recorded, before, "clock.jump", count=number), 5)
    jumps = [event["detail"] for event in events("clock.jump", after=before)]
    check("each step is on record", len(jumps) == 3, str(jumps))
    counts = [len(events(name, after=before)) for name in ("access.granted", "door.released", "door.locked")]
    check("no release but for the cards, and a lock for each", len(set(counts)) == 1, str(counts))


def killed(door: Door) -> None:
    """kill -9 in the middle of a release, of either process."""
    process, before = main_process(DOORS), newest()
    door.release()
    wait_until(functools.partial(recorded, before, "access.granted"), 2)
    shown = events(after=before)
    released = door.is_released()
    os.kill(process, signal.SIGKILL)
    began = time.monotonic()
    back = await_another(DOORS, process)
    text = f"strike {'on' if released else 'off'} at the kill, back after {time.monotonic() - began:.1f} s"
    check("doors killed in the middle of a release comes back", released and back, text)
    check("with the strike off", not door.is_released())
    kept = events(after=before)[: len(shown)]
    check("no event that was shown is missing", kept == shown and len(shown) > 1, f"{len(shown)} shown")
    process = main_process(SYNC)
    os.kill(process, signal.SIGKILL)
    dead, released = wait_until(lambda: main_process(SYNC) == 0, 3), door.release()
    check("a card opens while sync is dead", dead and released, f"sync is dead: {dead}, released: {released}")
    check("sync comes back", await_another(SYNC, process))


def frozen(door: Door) -> None:
    """A process that hangs in the middle of a release is ended by the watchdog."""
    process = main_process(DOORS)
    released = door.release()
    os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    ended = wait_until(lambda: main_process(DOORS) != process, 30)
    text = f"ended after {time.monotonic() - began:.1f} s"
    check("the watchdog ends a frozen doors process", released and ended, text)
    check("and another takes its place", await_another(DOORS, process))
    check("the strike is off then", not door.is_released())


def stopped(door: Door) -> None:
    """An orderly stop in the middle of a release."""
    released = door.release()
    command("systemctl", "stop", DOORS)
    check("a stop switches the strike off", released and not door.is_released(), f"released before: {released}")
    check("nothing is left at the control socket", not CONTROL.exists())
    done = as_user(VIEWER, "latchctl", "status")
    told = done.returncode not in (0, INTERNAL) and "no daemon answers" in done.stdout
    check("latchctl says that doors is not running", told, f"{done.returncode}: {done.stdout.strip()[-200:]}")
    command("systemctl", "start", DOORS)
    stops = [event["sequence"] for event in events("system.stop")]
    starts = [event["sequence"] for event in events("system.start")]
    check("the stop is on record before the start", stops[-1:] < starts[-1:] and bool(stops), f"{stops} {starts}")


def upgraded(door: Door) -> None:
    """What the page says of an upgrade."""
    before, processes = status(), (main_process(DOORS), main_process(SYNC))
    type_in(blocks("Upgrade, and back")[0])
    after = status()
    others = 0 not in (main_process(DOORS), main_process(SYNC)) and main_process(DOORS) != processes[0]
    check("an upgrade replaces both processes", others and main_process(SYNC) != processes[1])
    kept = after["cache"]["generation"] >= before["cache"]["generation"] and after["cache"]["people"] == 20
    check("and keeps cache and journal", kept and after["journal"]["last"] > before["journal"]["last"])
    check("a card opens after it", door.release())


def taken_over(door: Door) -> None:
    """Both databases in the one folder of older versions: the units copy what they may not move, and go on."""
    before = status()
    command("systemctl", "stop", DOORS, SYNC)
    moved = command("sh", "-ec", "cd /var/lib/latchd; rm */layout; mv doors/* sync/* .")
    command("systemctl", "start", DOORS, SYNC)
    after = status()
    same = all(after["cache"][name] == before["cache"][name] for name in ("generation", "people"))
    more = after["journal"]["last"] > before["journal"]["last"]
    check("what older versions left is taken over", same and more and not moved.returncode, moved.stdout)
    found = command("latchctl", "doctor").stdout
    hint = all(f"rm /var/lib/latchd/{name}*" in " ".join(found.split()) for name in ("cache.db", "journal.db"))
    check("and latchctl doctor names what to remove", hint and "chain unbroken" in found, found[-900:])
    command("sh", "-c", "cd /var/lib/latchd; rm -f cache.* journal.*")
    check("a card opens then, too", door.release())


# ------------------------------------------------------------------ second boot


def rebooted() -> None:
    """Both units are up by themselves, before the gpiochip is there; then a card opens from the cache."""
    for unit in (DOORS, SYNC):
        state, ready = properties(unit, "ActiveState", "ActiveEnterTimestampMonotonic")
        check(f"{unit} starts by itself", state == "active", f"ready {int(ready) / 1e6:.1f} s after the kernel")
    offline = {device["device"] for device in status()["devices"] if not device["online"]}
    check("a chip that is not there yet is told of", {"lobby-in", "cabinet"} <= offline, str(offline))
    door = Door.fitted()
    check("and is taken when it comes", wait_until(door.online, PATIENCE), str(status()["devices"]))
    check("the strike is off", not door.is_released())
    released = door.release()
    outage = wait_until(lambda: status()["sync"]["outcome"] not in ("applied", "unchanged"), PATIENCE)
    check("a card opens from the cache, without a directory", released)
    check("the outage is told of", outage, f"{status()['sync']['outcome']}: {status()['sync']['text']}")
    found = command("latchctl", "doctor")
    check("the journal's chain is whole over both boots", "chain unbroken" in found.stdout, found.stdout[-600:])
    told = [event["boot_id"] for event in events("system.start")]
    check(
        "each start is on record with its boot",
        len(set(told)) == 2,
        f"{len(told)} starts in {len(set(told))} boots",
    )


# ------------------------------------------------------------------


def first_boot() -> None:
    """Everything but what needs another boot, and `reboot`."""
    door, server = Door.fitted(), start_directory()
    for user in (VIEWER, OPERATOR, STRANGER):
        command("useradd", user)
    if not attempt("installation", functools.partial(install, door)):
        command("systemctl", "poweroff")
        return
    command("usermod", "-aG", "latchd-viewers", VIEWER)
    command("usermod", "-aG", "latchd-operators", OPERATOR)
    steps: tuple[Callable[[], None], ...] = (
        started, functools.partial(cards, door), functools.partial(osdp, door),
        confinement_checks.processes, confinement_checks.attempts,
        functools.partial(people, door), slow_network, functools.partial(clock_steps, door),
        functools.partial(killed, door), functools.partial(frozen, door), functools.partial(stopped, door),
        functools.partial(upgraded, door), functools.partial(taken_over, door),
    )  # fmt: skip
    for step in steps:
        timed(step)
    server.kill()
    server.wait()
    REBOOTED.touch()
    command("systemctl", "reboot")


def timed(step: Callable[[], None]) -> None:
    """One step, and how long it took."""
    name = getattr(step, "func", step).__name__.replace("_", " ")
    began = time.monotonic()
    attempt(name, step)
    say("note", name, f"{time.monotonic() - began:.1f} s")


def main() -> None:
    """The part of the test that belongs to this boot."""
    say("note", "guest", f"Linux {os.uname().release}, up {Path('/proc/uptime').read_text().split()[0]} s")
    if not REBOOTED.exists():
        first_boot()
        return
    timed(rebooted)
    say("end", "")
    command("systemctl", "poweroff")


if __name__ == "__main__":
    main()
