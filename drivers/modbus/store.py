"""Where profiles come from: the files of this package, and files of the site."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from drivers.modbus.profile import Profile

_FOLDER = Path(__file__).parent / "profiles"
_PROFILE = TypeAdapter(Profile)


def built_in() -> list[str]:
    """The names of the profiles that come with latchd."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def load_profile(name: str) -> Profile:
    """The built-in profile of that name, or the file when ``name`` ends in ``.toml``. Raises ``ValueError``."""
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not name.endswith(".toml") and name not in built_in():
        raise ValueError(f'no profile "{name}"; there are {", ".join(built_in())}, or the path of a .toml file')
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    try:
        # As JSON, strict validation still takes a table for a class and a list for a tuple.
        return _PROFILE.validate_json(json.dumps(data))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ValueError(f"{path}: {faults}") from error


def sized(profile: Profile, outputs: int | None, inputs: int | None) -> Profile:
    """The profile with other numbers of outputs and inputs. Raises ``ValueError`` if it has none of a kind."""
    changed = profile
    if outputs is not None:
        if profile.outputs is None:
            raise ValueError(f"outputs: the profile {profile.name} has none")
        changed = replace(changed, outputs=replace(profile.outputs, count=outputs))
    if inputs is not None:
        if profile.inputs is None:
            raise ValueError(f"inputs: the profile {profile.name} has none")
        changed = replace(changed, inputs=replace(profile.inputs, count=inputs))
    return changed
