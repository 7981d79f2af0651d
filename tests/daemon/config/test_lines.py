"""Every key of a valid TOML text is found at the line where it is written."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from daemon.config.lines import Path, key_lines, nearest_line

TEXT = '''# a comment
top = 1

[door.lobby]
entry = "a"   # trailing comment
contact = { input = "main.in1", sense = "nc" }
note = """
[not.a.table]
key = "inside a string"
"""
"quoted key" = [
  1,  # one
  2,
]
[[access_level]]
name = "one"
[[access_level.exception]]
access = true
[[access_level]]
name = "two"
[[access_level.exception]]
access = false
[[access_level.exception]]
access = true
[schedule."a.b"]
mon-fri = []
dotted.key = 3
'''


def test_every_kind_of_key() -> None:
    lines = key_lines(TEXT)
    assert lines[("top",)] == 2
    assert lines[("door", "lobby")] == 4
    assert lines[("door", "lobby", "contact", "sense")] == 6
    assert lines[("door", "lobby", "quoted key")] == 11
    assert lines[("access_level", 0, "name")] == 16
    assert lines[("access_level", 1, "exception", 1, "access")] == 24
    assert lines[("schedule", "a.b", "mon-fri")] == 26
    assert lines[("schedule", "a.b", "dotted", "key")] == 27
    assert ("not", "a", "table") not in lines


def test_a_missing_key_stands_at_the_table_around_it() -> None:
    lines = key_lines(TEXT)
    assert nearest_line(lines, ("door", "lobby", "lock")) == 4
    assert nearest_line(lines, ("site", "name")) == 1


NAMES = st.text("abc-_.é \"'", min_size=1, max_size=6)


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(
    st.dictionaries(
        NAMES,
        st.dictionaries(NAMES, st.sampled_from(["1", '"x"', "[\n1,\n2]", "'''\n[a]\nb=1\n'''"]), max_size=4),
        max_size=4,
    )
)
def test_all_keys_of_a_random_text_are_found_at_their_line(tables: dict[str, dict[str, str]]) -> None:
    written: dict[Path, int] = {}
    text = ""
    for table, keys in tables.items():
        written[(table,)] = text.count("\n") + 1
        text += f"[{quoted(table)}]\n"
        for key, value in keys.items():
            written[(table, key)] = text.count("\n") + 1
            text += f"{quoted(key)} = {value}\n# between\n"
    tomllib.loads(text)
    lines = key_lines(text)
    assert {path: lines[path] for path in written} == written
