"""What the runs of a bench amount to: the figures, the goals, the table."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lab.rehearsal.faults import FAULTS
from lab.rehearsal.tally import Entry, failures, latest, runs

STACKS = ("tricast", "peer")
TIMES_FASTER = 20.0
FLOOR_RATIO = 1.5
AT_CLIENT = "acknowledged write at the client"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, best and worst; {} of nothing."""
    if not values:
        return {}
    return {
        "n": len(values),
        "median": round(statistics.median(values), 4),
        "best": round(min(values), 4),
        "worst": round(max(values), 4),
    }


def medians(tables: Iterable[dict[str, float]]) -> dict[str, float]:
    """For each name in half of the tables the median of its values, in order of size."""
    known = [*tables]
    count = Counter(name for table in known for name in table)
    names = [name for name in count if 2 * count[name] >= len(known)]
    found = {
        name: round(statistics.median(table[name] for table in known if name in table), 4)
        for name in names
    }
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def part_names(tables: Sequence[dict[str, float]]) -> list[str]:
    """Every part in any table, in the order in which they end where they end soonest."""
    names = {name for table in tables for name in table}
    return sorted(names, key=lambda name: min(table[name] for table in tables if name in table))


def figures(entries: Sequence[Entry]) -> dict[str, Any]:
    """Everything that can be said from a tally."""
    faults = {name: _of_fault(entries, name) for name in FAULTS}
    done = [run for name in FAULTS for stack in STACKS for run in runs(entries, stack, name)]
    ours = [run for run in done if run["stack"] == "tricast"]
    found: dict[str, Any] = {
        "machine": {key: v for key, v in latest(entries, "machine").items() if key != "stack"},
        "faults": faults,
        "floor": _floor(entries, faults["site_loss"]),
        "route_ms": spread([r["route_ms"] for r in ours if r.get("route_ms") is not None]),
        "rest": {key: v for key, v in latest(entries, "rest").items() if key != "stack"},
        "acked": sum(run["acked"] for run in done),
        "missing": sum(run["missing"] for run in done),
        "runs": done,
    }
    found["goals"] = _goals(found)
    return found


def _of_fault(entries: Sequence[Entry], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"title": FAULTS[name].title}
    for stack in STACKS:
        of_stack = runs(entries, stack, name)
        found[stack] = {
            **spread([run["outage_s"] for run in of_stack]),
            "failed_attempts": medians([{"n": run["failed_attempts"]} for run in of_stack]).get(
                "n"
            ),
            "missing": sum(run["missing"] for run in of_stack),
            "runs_failed": len(failures(entries, stack, name)),
            "parts_s": medians({**run["parts"], AT_CLIENT: run["resumed_s"]} for run in of_stack),
            "steps_s": medians(run.get("steps", {}) for run in of_stack),
            "used": _used([run["used"] for run in of_stack if "used" in run]),
        }
    if found["tricast"].get("median") and found["peer"].get("median"):
        found["times"] = round(found["peer"]["median"] / found["tricast"]["median"], 1)
    return found


def _used(of_runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of each program the median of what ran and of what waited, and how busy the cores were."""
    if not of_runs:
        return {}
    whole = [(run["seconds"] * run["cores"], run["programs"].values()) for run in of_runs]
    busy = [sum(program["ran_s"] for program in all_of) / cores_s for cores_s, all_of in whole]
    return {
        "busy": round(statistics.median(busy), 3),
        **{
            kind: medians(
                {name: program[kind] for name, program in run["programs"].items()}
                for run in of_runs
            )
            for kind in ("ran_s", "waited_s")
        },
    }


def _floor(entries: Sequence[Entry], site_loss: dict[str, Any]) -> dict[str, float]:
    """Detection, and the promotion of a bare standby: what is left if all else takes no time."""
    promote = [run["outage_s"] for run in runs(entries, "floor", "promote")]
    ours = site_loss["tricast"]
    if not promote or "detection" not in ours["parts_s"]:
        return {}
    detection, bare = ours["parts_s"]["detection"], statistics.median(promote)
    return {
        "detection_s": detection,
        "pg_promote_s": round(bare, 4),
        "n": len(promote),
        "floor_s": round(detection + bare, 4),
        "ratio": round(ours["median"] / (detection + bare), 2),
    }


def _goals(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal with what was measured; a goal without a measurement is not listed."""
    goals: list[dict[str, Any]] = []

    def at_most(what: str, value: float | None, bound: float) -> None:
        if value is not None:
            goals.append({"what": what, "value": value, "bound": bound, "met": value <= bound})

    for name, fault in FAULTS.items():
        ours = found["faults"][name]["tricast"]
        if fault.goal_median_s is not None:
            at_most(f"{fault.title}, median (s)", ours.get("median"), fault.goal_median_s)
        if fault.goal_worst_s is not None:
            at_most(f"{fault.title}, worst (s)", ours.get("worst"), fault.goal_worst_s)
        if (times := found["faults"][name].get("times")) is not None:
            goals.append({"what": f"{fault.title}, times faster than the peer", "value": times,
                          "bound": TIMES_FASTER, "met": times >= TIMES_FASTER})  # fmt: skip
    at_most("silent site loss over its floor", found["floor"].get("ratio"), FLOOR_RATIO)
    at_most("acknowledged writes missing", found["missing"], 0)
    return goals


def render(found: dict[str, Any]) -> str:
    """The tables for people."""
    lines = ["", _row("outage at the client (s)", "tricast", "", "", "peer", "", "", "times"),
             _row("", "median", "worst", "n", "median", "worst", "n", "")]  # fmt: skip
    lines += [_fault_row(of_fault) for of_fault in found["faults"].values()]
    lines += ["", "parts, median seconds after the blow (tricast)"]
    lines += _parts(found)
    if floor := found["floor"]:
        lines += [
            "",
            f"floor of silent site loss: detection {floor['detection_s']:.3f} s + bare pg_promote"
            f" {floor['pg_promote_s']:.3f} s = {floor['floor_s']:.3f} s; the outage is"
            f" {floor['ratio']:.2f} times that",
        ]
    if route := found["route_ms"]:
        lines.append(
            f"decision to the provider's table: {route['median']:.1f} ms,"
            f" worst {route['worst']:.1f} ms"
        )
    if rest := found["rest"]:
        lines.append(
            f"controller at rest, one service: {rest['controller_rss_mib']} MiB resident,"
            f" {rest['controller_cpu_percent']} % of one core"
        )
    lines += [
        f"{of_fault['title']}: {seen['runs_failed']} runs of {stack} did not end in time"
        for of_fault in found["faults"].values()
        for stack, seen in ((stack, of_fault[stack]) for stack in STACKS)
        if seen["runs_failed"]
    ]
    lines += ["", f"acknowledged {found['acked']}, missing {found['missing']}", ""]
    lines += [
        f"{'met   ' if goal['met'] else 'MISSED'}  {goal['what']}: {goal['value']:g}"
        f" (goal {goal['bound']:g})"
        for goal in found["goals"]
    ]
    return "\n".join(lines)


def _fault_row(of_fault: dict[str, Any]) -> str:
    cells = []
    for stack in STACKS:
        seen = of_fault[stack]
        known = "median" in seen
        cells += [
            f"{seen['median']:.3f}" if known else "-",
            f"{seen['worst']:.3f}" if known else "-",
        ]
        cells.append(f"{seen['n']:.0f}" if known else "-")
    times = of_fault.get("times")
    return _row(of_fault["title"], *cells, f"{times:.1f}" if times else "-")


def _row(first: str, *cells: str) -> str:
    return f"{first:26}" + "".join(f"{cell:>9}" for cell in cells)


def _parts(found: dict[str, Any]) -> list[str]:
    tables = [of_fault["tricast"]["parts_s"] for of_fault in found["faults"].values()]
    titles = [of_fault["title"] for of_fault in found["faults"].values()]
    names = part_names(tables)
    header = f"{'':34}" + "".join(f"{title:>20}" for title in titles)
    rows = [
        f"{name:34}"
        + "".join(f"{table[name]:20.3f}" if name in table else f"{'-':>20}" for table in tables)
        for name in names
    ]
    return [header, *rows] if rows else ["  nothing measured"]
