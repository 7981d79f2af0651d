"""What operators do in a scenario: the orders of ``latchctl door``, ``forgive`` and ``sync``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from daemon.doors.controller.orders import DoorAction, OperatorOrder
from daemon.simulate.scenario import known_name
from daemon.simulate.world import World
from drivers.settings import parse_duration


def act_as(world: World, words: tuple[str, ...]) -> None:
    """Carry out ``NAME ACTION TARGET …``. An order is durable when latchctl has its answer, so it is at once."""
    name, action, target, *rest = words
    match action:
        case "sync":
            _sync(world, name, target)
        case "forgive":
            _forgive(world, name, target, rest)
        case _:
            options = dict(zip(rest[::2], rest[1::2], strict=True))
            _order_doors(world, OperatorOrder(name, DoorAction(action), target), options)
    world.commit()


def _order_doors(world: World, order: OperatorOrder, options: dict[str, str]) -> None:
    doors, now = world.controller.doors, world.now()
    order = replace(order, reason=options.get("because", ""))
    seconds = parse_duration(options["for"]) if "for" in options else None
    if order.action is DoorAction.PULSE:
        order = replace(order, seconds=seconds)
    elif seconds is not None:
        order = replace(order, until=now.utc + timedelta(seconds=seconds))
    names = tuple(doors) if order.door == "all" else (world.unit(order.door).setup.name,)
    orders = [replace(order, door=name) for name in names]
    if "until" in options:
        orders = [replace(one, until=doors[one.door].next_edge(now)) for one in orders]
    for one in orders:
        world.act(world.controller.operate(one, now))


def _forgive(world: World, actor: str, target: str, rest: list[str]) -> None:
    now = world.now()
    if rest:
        world.act(world.controller.forgive_area(actor, known_name("area", rest[0], world.site.tables.area), now))
    elif not world.controller.knows_where(target) and world.lookup.person(target) is None:
        raise ValueError(f'the directory has no person of the id "{target}"')
    else:
        world.act(world.controller.forgive(actor, target, now))


def _sync(world: World, actor: str, word: str) -> None:
    match word:
        case "accept":
            world.store.accept(world.held_back().token, world.clock.utc())
        case "reject":
            world.store.reject(world.held_back().token)
        case "disconnect":
            world.disconnect(actor)
        case "resume":
            world.store.hold(None)
    world.look_at_cache()
