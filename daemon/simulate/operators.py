"""What operators do in a scenario: the words of a step become the requests that ``latchctl`` sends."""

from __future__ import annotations

from cache.errors import CacheError
from daemon.doors.controller.orders import DoorAction
from daemon.doors.operators import EVERY_DOOR, DoorRequest, forgive_area, forgive_person, order_doors
from daemon.simulate.scenario import known_name
from daemon.simulate.world import World
from drivers.settings import parse_duration


def act_as(world: World, words: tuple[str, ...]) -> None:
    """Carry out ``NAME ACTION TARGET …``. An order is durable when latchctl has its answer, so it is at once."""
    name, action, target, *rest = words
    match action:
        case "sync":
            _sync(world, name, target)
        case "forgive" if rest:
            forgive_area(world, name, known_name("area", rest[0], world.site.tables.area), world.now())
        case "forgive":
            forgive_person(world, name, target, world.core.lookup.person(target) is not None, world.now())
        case _:
            options = dict(zip(rest[::2], rest[1::2], strict=True))
            order_doors(world, _request(world, name, DoorAction(action), target, options), world.now())
    world.commit()


def _request(world: World, actor: str, action: DoorAction, door: str, options: dict[str, str]) -> DoorRequest:
    if door != EVERY_DOOR:
        world.door(door)
    seconds = parse_duration(options["for"]) if "for" in options else None
    return DoorRequest(actor, action, door, seconds, "until" in options, options.get("because", ""))


def _sync(world: World, actor: str, word: str) -> None:
    updates, now = world.updates, world.clock.utc()
    match word:
        case "accept":
            updates.accept(_token(world), actor, now)
        case "reject":
            updates.reject(_token(world))
        case "disconnect":
            updates.disconnect(actor, "", now)
        case "resume":
            updates.resume()
    world.look_at_cache()


def _token(world: World) -> str:
    held = world.updates.store.quarantine()
    if held is None:
        raise CacheError("nothing is held back")
    return held.token
