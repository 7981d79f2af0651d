"""A site file is accepted as a whole or refused as a whole, with every fault, its line and what to do."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cache.model import ALWAYS, Interval
from daemon.config.checks import points_in_use
from daemon.config.load import SiteFileError, load_site, read_site
from daemon.errors import ConfigError
from drivers.events import Point

GOOD = """
allow_simulation = true
[site]
name = "Bench"
timezone = "Europe/Berlin"
key = "env:SITE_KEY"
[bus.bench]
driver = "sim"
[board.main]
bus = "bench"
[reader.lobby-in]
bus = "bench"
[reader.lobby-out]
bus = "bench"
[door.lobby]
entry = "lobby-in"
exit = "lobby-out"
lock = "main.out1"
contact = { input = "main.in1", sense = "nc" }
rex = { input = "main.in2" }
lockdown_exempt = ["Security"]
area = { from = "outside", to = "office" }
[area.office]
[schedule.office]
mon-fri = ["08:00-18:00"]
sun = ["22:00-02:00"]
[special_days.holidays]
"2026-12-24" = ["08:00-12:00"]
"2026-12-25" = []
[special_days.local]
"2026-12-24" = ["14:00-15:00"]
[[access_level]]
name = "Staff weekdays"
groups = ["Staff"]
doors = ["lobby"]
schedule = "office"
special_days = ["holidays", "local"]
[[access_level.exception]]
from = 2026-11-27T18:00:00
until = 2026-11-27T23:00:00
access = true
[[access_level]]
name = "Always"
groups = ["Security"]
doors = ["lobby"]
"""


def faults(text: str, secrets: dict[str, bytes] | None = None) -> dict[str, tuple[int, str]]:
    def read(reference: str) -> bytes:
        if reference not in (secrets or {}):
            raise ConfigError(f"no secret {reference}")
        return (secrets or {})[reference]

    with pytest.raises(SiteFileError) as refused:
        read_site(text, "site.toml", None if secrets is None else read)
    return {fault.key: (line, fault.text) for line, fault in refused.value.faults}


def test_a_good_file_becomes_the_domain() -> None:
    site = read_site(GOOD, "site.toml", None)
    assert site.policy.schedules["office"].week[0] == (Interval(480, 1080),)
    assert site.policy.schedules["office"].week[6] == (Interval(1320, 120),)
    staff, always = site.levels
    assert staff.special_days == {
        date(2026, 12, 24): (Interval(480, 720), Interval(840, 900)),
        date(2026, 12, 25): (),
    }
    assert staff.exceptions[0].start == datetime(2026, 11, 27, 17, tzinfo=UTC)
    assert always.schedule is ALWAYS
    assert site.references == {"Staff", "Security"}
    assert site.tables.door["lobby"].lock == Point("main", "out1")
    assert site.tables.door["lobby"].strike_time == 10.0
    assert [bus.name for bus in site.devices.buses] == ["bench"]


def test_every_fault_in_one_go_with_line_key_and_nearest_key() -> None:
    text = (
        GOOD.replace('exit = "lobby-out"', 'exti = "lobby-out"')
        .replace('lock = "main.out1"', 'lock = "main.out99"')
        .replace('timezone = "Europe/Berlin"', 'timezone = "Europe/Berlinn"')
        .replace('schedule = "office"', 'schedule = "ofice"')
        .replace('bus = "bench"\n[reader.lobby-in]', 'bus = "bank"\n[reader.lobby-in]')
    )
    found = faults(text)
    assert found["door.lobby.exti"] == (17, 'unknown key; did you mean "exit"?')
    assert found["site.timezone"][0] == 5
    assert found["access_level[1].schedule"] == (36, 'there is no schedule "ofice"; did you mean "office"?')
    assert found["board.main.bus"][1].startswith("there is no [bus.bank]")
    assert found["door.lobby.lock"][0] == 18


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ('name = "Bench"\n', "", "site.name", "missing"),
        ('key = "env:SITE_KEY"', "key = 5", "site.key", "string"),
        ("allow_simulation = true", "allow_simulation = false", "bus.bench.driver", "allow_simulation"),
        ('exit = "lobby-out"', 'exit = "lobby-in"', "door.lobby", "the same reader"),
        ('rex = { input = "main.in2" }', 'rex = { input = "main.in1" }', "door.lobby.rex.input", "used by"),
        ('to = "office"', 'to = "vault"', "door.lobby.area.to", 'no area "vault"'),
        ('sun = ["22:00-02:00"]', 'fri-sun = ["22:00-02:00"]', "schedule.office", "another line"),
        ('mon-fri = ["08:00-18:00"]', 'mon-fri = ["08:00-25:00"]', "schedule.office.mon-fri[1]", "range of times"),
        ('"2026-12-25" = []', '"25.12.2026" = []', "special_days.holidays", "expected a date"),
        ("until = 2026-11-27T23:00:00", "until = 2026-11-27T17:00:00", "access_level[1].exception[1]", "later"),
        ('name = "Always"', 'name = "Staff weekdays"', "access_level[2].name", "already"),
        ('driver = "sim"', 'driver = "simm"', "bus.bench.driver", 'did you mean "sim"'),
        ("[area.office]", f'[area.office]\n[control]\nsocket = "/run/{"x" * 103}"', "control.socket", "107 bytes"),
        (
            "[area.office]",
            '[area.office]\n[control]\nsync_socket = "/run/latchd/doors/control.sock"',
            "control.sync_socket",
            "must differ",
        ),
        ("[area.office]", "[area.office]\noccupancy = -1", "area.office.occupancy", "0 or more"),
        ("[door.lobby]", '[door.lobby]\nstrike_time = "61s"', "door.lobby.strike_time", "1s to 60s"),
        (
            "[door.lobby]",
            '[door.lobby]\nstrike_time = "1 minute"',
            "door.lobby.strike_time",
            "expected a duration",
        ),
    ],
)
def test_each_kind_of_fault(old: str, new: str, key: str, words: str) -> None:
    assert old in GOOD
    found = faults(GOOD.replace(old, new))
    assert key in found, found
    assert words in found[key][1]


def test_a_bus_that_cannot_serve_its_readers_is_refused_with_its_numbers() -> None:
    readers = "".join(f'[reader.r{n}]\nbus = "long"\naddress = {n}\nkey = "env:K"\n' for n in range(126))
    bus = '[bus.long]\ndriver = "osdp"\nport = "/dev/ttyS9"\n'
    assert "126 readers at 9600 baud takes 4.57 s" in faults(GOOD + bus + readers)["bus.long"][1]
    assert read_site(GOOD + bus + "baudrate = 38400\n" + readers, "site.toml", None)


def test_the_points_in_use_are_those_that_doors_name() -> None:
    site = read_site(GOOD, "site.toml", None)
    assert {str(point) for point in points_in_use(site.tables)} == {"main.out1", "main.in1", "main.in2"}


def test_secrets_are_found_before_a_device_is_opened_and_never_shown() -> None:
    assert faults(GOOD, {}) == {"site.key": (6, "no secret env:SITE_KEY")}
    found = faults(GOOD, {"env:SITE_KEY": b"hunter2"})
    assert "32 bytes" in found["site.key"][1]
    assert "hunter2" not in str(found)
    assert read_site(GOOD, "site.toml", lambda _: bytes(32)).name == "Bench"


def test_gpio_lines_named_by_a_door_become_a_board() -> None:
    text = GOOD.replace('lock = "main.out1"', 'lock = "gpio:/dev/gpiochip0/22"')
    site = read_site(
        text.replace('rex = { input = "main.in2" }', 'rex = { input = "gpio:/dev/gpiochip0/5" }'), "s", None
    )
    board = next(bus for bus in site.devices.buses if bus.name == "gpio:/dev/gpiochip0")
    assert board.type.name == "gpio"
    assert board.type.lines(board.devices["gpio:/dev/gpiochip0"]) == ({"22"}, {"5"})
    twice = GOOD.replace('lock = "main.out1"', 'lock = "gpio:/dev/gpiochip0/5"')
    found = faults(twice.replace('rex = { input = "main.in2" }', 'rex = { input = "gpio:/dev/gpiochip0/5" }'))
    assert "board.gpio:/dev/gpiochip0" in found


YARD = """
[reader.yard-in]
driver = "wiegand"
chip = "/dev/gpiochip0"
d0 = 17
d1 = 27
formats = ["H10301", "Site8"]
[card_format.Site8]
length = 8
fields = { card_number = "0-7" }
"""


def test_the_formats_of_a_reader_are_those_of_the_site_too() -> None:
    assert "Site8" in read_site(GOOD + YARD, "site.toml", None).formats
    found = faults(GOOD + YARD.replace('"Site8"', '"Site9"'))
    assert "did you mean" in found["reader.yard-in.formats"][1]
    found = faults(
        GOOD + YARD.replace("[card_format.Site8]", "[card_format.H10301]").replace('"Site8"', '"H10301"')
    )
    assert "H10301 already" in found["card_format.H10301"][1]


def test_a_file_that_is_no_toml_or_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"site.toml is not valid TOML: .*line 2"):
        read_site("\n[site\n", "site.toml", None)
    with pytest.raises(ConfigError, match="No such file"):
        load_site(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_site(tmp_path / "latin.toml")


def test_the_report_reads_as_compilers_do() -> None:
    with pytest.raises(SiteFileError) as refused:
        read_site(GOOD.replace("exit =", "exti ="), "site.toml", None)
    assert str(refused.value).splitlines() == [
        "site.toml is refused, 1 fault; no device was opened",
        'site.toml:17: door.lobby.exti: unknown key; did you mean "exit"?',
    ]
    assert refused.value.exit_code == 2
