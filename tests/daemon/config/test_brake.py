"""``[brake]`` of the site file, the older ``[scim.limits]``, and the doors that the words for groups open."""

from __future__ import annotations

import pytest

from cache.reconcile.limits import Bound, Brake
from daemon.config.load import SiteFileError, read_site
from tests.daemon.config.test_site import GOOD

SCIM = '[scim]\nurl = "https://directory.example.com"\ntoken = "env:T"\ngroups = ["*"]\n'
OLDER = "[scim.limits]\npeople = { percent = 5, count = 3 }\n"


def test_each_key_is_read_and_the_rest_is_the_default() -> None:
    assert read_site(GOOD, "site.toml", None).brake == Brake()
    text = GOOD + '\n[brake]\nlast_door = { percent = 1.5, count = 2 }\nwindow = "7d"\ndeactivations = "hold"\n'
    wanted = Brake(last_door=Bound(percent=1.5, count=2), window=7 * 86400.0, deactivations="hold")
    assert read_site(text, "site.toml", None).brake == wanted
    few = read_site(
        GOOD + "\n[brake]\npeople = { percent = 0, count = 0 }\ndoors_without_anybody = 0\n", "site.toml", None
    )
    assert few.brake == Brake(people=Bound(percent=0, count=0), doors_without_anybody=0)


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ('window = "30m"', "brake.window"),
        ('window = "32d"', "brake.window"),
        ('deactivations = "ignore"', "brake.deactivations"),
        ("people = { percent = 101, count = 1 }", "brake.people.percent"),
        ("people = { percent = 1 }", "brake.people.count"),
        ("members = { percent = 1, count = 1 }", "brake.members"),
    ],
)
def test_what_is_out_of_range_is_refused(lines: str, key: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        read_site(f"{GOOD}\n[brake]\n{lines}\n", "site.toml", None)
    assert f"{key}: " in str(caught.value)


def test_an_older_table_is_read_and_not_beside_the_new_one() -> None:
    text = GOOD if "[scim]" in GOOD else f"{GOOD}\n{SCIM}"
    bound = Bound(percent=5, count=3)
    wanted = Brake(people=bound, last_door=bound, doors_without_anybody=2)
    assert read_site(f"{text}\n{OLDER}", "site.toml", None).brake == wanted
    with pytest.raises(SiteFileError, match=r"scim.limits: \[brake\] is in the file, too"):
        read_site(f"{text}\n{OLDER}[brake]\n", "site.toml", None)


def test_the_doors_of_a_word_are_those_of_all_its_levels() -> None:
    assert read_site(GOOD, "site.toml", None).doors_by_reference == {
        "Staff": frozenset({"lobby"}),
        "Security": frozenset({"lobby"}),
    }
    bare = GOOD[: GOOD.index("[[access_level]]")]
    assert read_site(bare, "site.toml", None).doors_by_reference is None
