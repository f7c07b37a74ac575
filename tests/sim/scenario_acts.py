"""What a scenario does to the simulated world: one function for each act of the vocabulary."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controller.core.model import Durability, EpochRecord
from lab.scenario.arguments import RUNS_AT, SITES, WITNESS
from lab.scenario.matching import Phrase
from lab.scenario.play import StageError
from tests.sim.keeper import Keeper
from tests.sim.scenario_audit import Audits
from tests.sim.world import World

LOOK_S: Final = 0.002  # how often somebody looks whether a step is reached
RESTART_S: Final = 1.0
APPS: Final = ("app1", "app2")
PROGRAM: Final = {"daemon": "witness", "speaker": "exabgp"}  # it stands still with ExaBGP


@dataclass(frozen=True, slots=True)
class Cut:
    """A fault of links, and the sites whose healing takes it away."""

    owners: frozenset[str]
    make: Callable[[World], None]


@dataclass(slots=True)
class Acts:
    """Breaks and mends one world; knows which links are broken, and by what."""

    world: World
    run: Callable[[float], None]
    cuts: list[Cut] = field(default_factory=list)
    apps_down: dict[str, set[str]] = field(default_factory=dict)
    snapshot: dict[str, EpochRecord] = field(default_factory=dict)
    newest: dict[str, EpochRecord] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    fenced: set[str] = field(default_factory=set)
    misconfigured: set[str] = field(default_factory=set)
    audits: Audits = field(init=False)

    def __post_init__(self) -> None:
        self.audits = Audits(self.world)

    def cut(self, *owners: str, make: Callable[[World], None]) -> None:
        """It is in force until one of its owners is healed."""
        self.cuts.append(Cut(frozenset(owners), make))
        make(self.world)

    def heal(self, *sites: str) -> None:
        """No fault of their links is left; the others' are as they were."""
        for site in sites:
            self.world.heal_site(site)
            for other in SITES:
                if other != site:
                    self.world.degrade(site, other, 0.0, 0.0)
        self.cuts = [cut for cut in self.cuts if not cut.owners & set(sites)]
        for cut in self.cuts:
            cut.make(self.world)

    def mend(self) -> None:
        """Nothing is broken or paused any more."""
        self.cuts.clear()
        self.apps_down.clear()
        for service in self.paused:
            self.world.resume(service)
        self.paused.clear()
        for site in self.drained:
            self.world.undrain(site)
        self.drained.clear()
        for site in self.fenced:
            self.world.unfence(site)
        self.fenced.clear()
        for site in list(self.misconfigured):
            self.configure(site, right=True)
        self.world.without_payments.clear()
        self.world.heal_everything()
        self.audits.mend()

    def configure(self, site: str, *, right: bool) -> None:
        """The controller is restarted, with the wallet's true terms or with others."""
        world = self.world
        (self.misconfigured.discard if right else self.misconfigured.add)(site)
        world.kill("controller", site)
        loop = world.controllers[world.site(site)].loops[world.service("wallet")]
        durability = world.specs[world.service("wallet")].durability
        loop.spec = replace(loop.spec, durability=durability if right else Durability.LEASE)
        world.start("controller", site)

    def set_app(self, site: str, app: str, *, up: bool) -> None:
        """One app server of the wallet at `site`."""
        down = self.apps_down.setdefault(site, set())
        (down.discard if up else down.add)(app)
        self.world._set_apps(site, "wallet", len(APPS) - len(down))


def _others(site: str) -> tuple[str, ...]:
    return tuple(other for other in SITES if other != site)


# --- links ---------------------------------------------------------------------------------------


def _cut(acts: Acts, phrase: Phrase) -> None:
    site = phrase.text("SITE")
    acts.cut(site, make=lambda world: world.cut_site(site))


def _cut_wan(acts: Acts, phrase: Phrase) -> None:
    site = phrase.text("SITE")

    def make(world: World) -> None:
        for other in _others(site):
            world.cut_link(site, other)

    acts.cut(site, make=make)


def _cut_internet(acts: Acts, phrase: Phrase) -> None:
    site = phrase.text("SITE")
    acts.cut(site, make=lambda world: world.cut_provider(site))


def _part(acts: Acts, phrase: Phrase) -> None:
    pair = phrase.text("SITE"), phrase.text("OTHER")
    acts.cut(*pair, make=lambda world: world.cut_link(*pair))


def _one_way(*, inbound: bool) -> "Act":
    def act(acts: Acts, phrase: Phrase) -> None:
        site = phrase.text("SITE")

        def make(world: World) -> None:
            for other in _others(site):
                ends = (other, site) if inbound else (site, other)
                world.cut_one_way(*ends)
            world.cut_provider(site)  # TCP and BGP need both ways

        acts.cut(site, make=make)

    return act


def _drop_log(acts: Acts, phrase: Phrase) -> None:
    pair = phrase.text("DC"), phrase.text("SITE")
    acts.cut(*pair, make=lambda world: world.cut_one_way(*pair, "replication"))


def _drop_control(acts: Acts, phrase: Phrase) -> None:
    pair = phrase.text("SITE"), phrase.text("OTHER")
    acts.cut(*pair, make=lambda world: world.cut_link(*pair, "control"))


def _lose(acts: Acts, phrase: Phrase) -> None:
    pair, loss = (phrase.text("SITE"), phrase.text("OTHER")), phrase.number("PERCENT") / 100
    acts.cut(*pair, make=lambda world: world.degrade(*pair, loss, 0.0))


def _slow(acts: Acts, phrase: Phrase) -> None:
    site, delay_s = phrase.text("SITE"), phrase.number("DURATION")

    def make(world: World) -> None:
        for other in _others(site):
            world.degrade(site, other, 0.0, delay_s)

    acts.cut(site, make=make)


def _flap(acts: Acts, phrase: Phrase) -> None:
    for _ in range(int(phrase.number("COUNT"))):
        _cut_wan(acts, phrase)
        acts.run(phrase.number("DURATION"))
        acts.heal(phrase.text("SITE"))
        acts.run(phrase.number("DURATION"))


def _heal(acts: Acts, phrase: Phrase) -> None:
    acts.heal(phrase.text("SITE"))


def _heal_all(acts: Acts, _: Phrase) -> None:
    acts.heal(*SITES)


# --- processes -----------------------------------------------------------------------------------

Act = Callable[[Acts, Phrase], None]
Places = tuple[tuple[str, str], ...]


def _one(phrase: Phrase) -> Places:
    return ((_name(phrase), phrase.text("SITE")),)


def _everywhere(phrase: Phrase) -> Places:
    return tuple((_name(phrase), site) for site in RUNS_AT[_name(phrase)])


def _keeper(phrase: Phrase) -> Places:
    return ((f"{phrase.text('DATABASE')} keeper", WITNESS),)


def _name(phrase: Phrase) -> str:
    return str(phrase.arguments.get("PROGRAM") or phrase.arguments["UNIT"])


def _doing(do: str, where: Callable[[Phrase], Places]) -> Act:
    """The method of the world called so, for each program."""

    def act(acts: Acts, phrase: Phrase) -> None:
        for name, site in where(phrase):
            if name in APPS:
                _app(acts, do, name, site)
            elif (name, do) == ("speaker", "crash"):
                acts.world.restart_speaker(site)  # its session stays
            else:
                getattr(acts.world, do)(PROGRAM.get(name, name), site)

    return act


def _app(acts: Acts, do: str, name: str, site: str) -> None:
    if do in ("freeze", "thaw"):
        raise StageError("the simulated app servers are up or down, and never stand still")
    acts.set_app(site, name, up=do == "start")
    if do == "crash":
        acts.world.engine.after(RESTART_S, lambda: acts.set_app(site, name, up=True))


def _on_site(do: str) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        getattr(acts.world, do)(phrase.text("SITE"))

    return act


def _crash_after(acts: Acts, phrase: Phrase) -> None:
    world, site, step = acts.world, phrase.text("DC"), phrase.text("STEP")
    world.kill("controller", site)
    world.start("controller", site)
    life = world.node(world.site(site)).life

    def look() -> None:
        if world.node(world.site(site)).life != life:
            return
        decision = world.controllers[world.site(site)].loops[world.service("wallet")].decision
        if (
            decision is not None
            and decision.ladder == "TAKE_OVER"
            and any(rung.done and rung.step == step for rung in decision.rungs)
        ):
            world.kill("controller", site)
            return
        world.engine.after(LOOK_S, look)

    look()


# --- disks, routes, clocks -----------------------------------------------------------------------


def _copy(phrase: Phrase) -> tuple[str, str]:
    database, site = phrase.text("DATABASE"), phrase.text("SITE")
    return (f"{database} keeper" if site == WITNESS else database), site


def _disk_full(acts: Acts, phrase: Phrase) -> None:
    acts.world.fill_disk(*_copy(phrase))


def _disk_free(acts: Acts, phrase: Phrase) -> None:
    acts.world.free_disk(*_copy(phrase))
    acts.world.stall_disk(*_copy(phrase), 0.0)


def _disk_slow(acts: Acts, phrase: Phrase) -> None:
    acts.world.stall_disk(*_copy(phrase), phrase.number("DURATION"))


def _wipe(acts: Acts, phrase: Phrase) -> None:
    acts.world.wipe_keeper(phrase.text("DATABASE"), WITNESS)


def _tear(acts: Acts, phrase: Phrase) -> None:
    keeper = acts.world.copy_at(f"{phrase.text('DATABASE')} keeper", WITNESS)
    assert isinstance(keeper, Keeper)
    acts.world.broke("tear", str(keeper.name))
    keeper.fall()
    keeper.changed()
    acts.world.mended("tear", str(keeper.name))


def _at_dc(do: str) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        getattr(acts.world, do)(phrase.text("DC"))

    return act


def _everything(do: str) -> Act:
    def act(acts: Acts, _: Phrase) -> None:
        getattr(acts.world, do)()

    return act


def _drift(acts: Acts, phrase: Phrase) -> None:
    site = phrase.text("SITE")
    daemon = "witness" if site == WITNESS else "controller"
    acts.world.drift(daemon, site, 1 + phrase.number("PERCENT") / 100)


LINKS_AND_PROCESSES: Final[Mapping[str, Act]] = {
    "cut": _cut,
    "cut_wan": _cut_wan,
    "cut_internet": _cut_internet,
    "part": _part,
    "cut_in": _one_way(inbound=True),
    "cut_out": _one_way(inbound=False),
    "drop_log": _drop_log,
    "drop_control": _drop_control,
    "lose": _lose,
    "slow": _slow,
    "flap": _flap,
    "heal": _heal,
    "heal_all": _heal_all,
    "kill": _doing("crash", _one),
    "kill_all": _doing("crash", _everywhere),
    "stop": _doing("kill", _one),
    "stop_all": _doing("kill", _everywhere),
    "start": _doing("start", _one),
    "start_all": _doing("start", _everywhere),
    "freeze": _doing("freeze", _one),
    "thaw": _doing("thaw", _one),
    "freeze_site": _on_site("freeze_site"),
    "thaw_site": _on_site("thaw_site"),
    "kill_keeper": _doing("crash", _keeper),
    "freeze_keeper": _doing("freeze", _keeper),
    "thaw_keeper": _doing("thaw", _keeper),
    "power_off": _on_site("power_off"),
    "power_on": _on_site("power_on"),
    "crash_after": _crash_after,
    "disk_full": _disk_full,
    "disk_free": _disk_free,
    "disk_slow": _disk_slow,
    "wipe": _wipe,
    "tear": _tear,
    "stick": _on_site("stick_routes"),
    "unstick": _on_site("unstick_routes"),
    "sicken": _at_dc("unhealthy"),
    "cure": _at_dc("healthy"),
    "sicken_all": _everything("unhealthy_everywhere"),
    "cure_all": _everything("healthy_everywhere"),
    "drift": _drift,
}
