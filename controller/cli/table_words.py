"""What the functions in the rules and ladders are called on a page: their own names, as words."""

import inspect
from collections.abc import Callable
from typing import Any

from controller.core.ladder import AnyStep
from controller.core.model import Role
from controller.core.rule import Rule

Named = Callable[..., Any]


def phrase(function: Named) -> str:
    """A function's name as words; of one that another has made, the value it was made for."""
    made_for = inspect.getclosurevars(function).nonlocals
    words = spoken(maker(function))
    if "role" in made_for:
        return str(made_for["role"])
    return f"{words} ({made_for['kind']})" if "kind" in made_for else words


def maker(function: Named) -> str:
    """The name of a function, or of the one that has made it."""
    return function.__qualname__.partition(".")[0]


def spoken(name: str) -> str:
    """A name as words."""
    return name.strip("_").replace("_", " ")


def ladders(rules: tuple[Rule, ...]) -> dict[str, tuple[AnyStep, ...]]:
    """Every ladder that a rule climbs, by name, in the order of the rules."""
    return {rule.ladder_name: rule.ladder for rule in rules if rule.ladder_name}


def climbed_under(name: str, rules: tuple[Rule, ...]) -> str:
    """The rules under which a ladder is climbed, as words."""
    users = [str(rule.number) for rule in rules if rule.ladder_name == name]
    return f"rule{'s' if len(users) > 1 else ''} {', '.join(users)}"


def roles_of(rule: Rule) -> tuple[Role, ...]:
    """The roles that a rule can lead to, the first that its function names in front."""
    made_for = inspect.getclosurevars(rule.role).nonlocals.get("role")
    if made_for is not None:
        return (Role(made_for),)
    return tuple(Role[name] for name in rule.role.__code__.co_names if name in Role.__members__)


def raises_epoch(rule: Rule) -> bool:
    """Whether the rule asks for the next epoch beside its ladder."""
    return rule.intent is not None and phrase(rule.intent).split()[0] == "raise"
