"""The page docs/bench/README.md, written from the figures of a bench that is kept."""

from typing import Any

from lab.rehearsal.figures import STACKS, part_names

USERS = 12  # of the processors, that the page lists
HEAD = """\
# Measured, beside the stack that users run today

Written by `make bench PUBLISH=1`; do not edit. `bench.json` has every run.

![Outages, one dot a run](bench.svg)

The same client, network, provider routers, machine and blows for both. The outage is the longest
time without an acknowledged write, behind the exchange, at 40 transfers a second, each sent again
under its key, ever more rarely, until it is acknowledged; it includes the return of the failed
site. One stack runs at a time, whole again before each blow and, as an operator would leave it,
with the last role change acknowledged (`tricast ack`). Three sites, their app servers and the
clients share the cores of one machine: the daemons, ExaBGP and etcd of both stacks go before
everything else there.

* **tricast**: this repository, profile `fast`. A transfer is acknowledged when PostgreSQL *and*
  MariaDB have committed it; both are moved.
* **peer**: Patroni in synchronous mode with the tightest timing it takes (ttl 20, loop_wait 1,
  retry_timeout 3, primary_start_timeout 0), three etcd members, in each site an haproxy that finds
  the primary by Patroni's REST answer every 200 ms, ExaBGP's health check every 200 ms, BGP hold
  time 3 s. PostgreSQL only, so it has less to do. Its configuration is in `lab/peer/nodes/`.
"""
BLOWS = """\
The blows: *silent site loss*, every packet of the holder's site is dropped and links stay up;
*PostgreSQL killed*, SIGKILL to every PostgreSQL process of the primary while its supervisor
(Patroni, tricast's host agent) lives; *planned switchover*, `tricast switchover` and `patronictl
switchover`; *site frozen*, SIGSTOP to everything in the holder's site for 20 s or more, then
SIGCONT.
"""


def page(found: dict[str, Any]) -> str:
    """The page, as Markdown."""
    blocks = [HEAD, _outages(found), BLOWS, "## Where the time goes\n", _parts(found)]
    blocks += [
        _floor(found),
        _used(found),
        "## Goals\n",
        _goals(found),
        "## Measured on\n",
        _machine(found),
    ]
    return "\n".join(block for block in blocks if block)


def _table(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{'---|' * len(rows[0])}")
    return "\n".join(lines) + "\n"


def _outages(found: dict[str, Any]) -> str:
    head = ["outage (s)"]
    for stack in STACKS:
        head += [f"{stack} median", "worst", "runs"]
    rows = [[*head, "peer / tricast"]]
    for of_fault in found["faults"].values():
        row = [of_fault["title"]]
        for stack in STACKS:
            seen = of_fault[stack]
            known = "median" in seen
            failed = f" + {seen['runs_failed']} failed" if seen["runs_failed"] else ""
            row += [f"{seen[key]:.2f}" if known else "-" for key in ("median", "worst")]
            row.append(f"{seen.get('n', 0)}{failed}")
        rows.append([*row, f"{of_fault['times']:g}" if "times" in of_fault else "-"])
    total = f"\nAcknowledged writes: {found['acked']}, of them missing: {found['missing']}.\n"
    return _table(rows) + total


def _parts(found: dict[str, Any]) -> str:
    faults = [*found["faults"].values()]
    tables = [of_fault["tricast"]["parts_s"] for of_fault in faults]
    rows = [["tricast, median s after the blow", *(of_fault["title"] for of_fault in faults)]]
    rows += [
        [name, *(f"{table[name]:.3f}" if name in table else "-" for table in tables)]
        for name in part_names(tables)
    ]
    keys = [of_fault["peer"]["parts_s"].get("leader key") for of_fault in faults]
    rows.append(["peer: leader key won", *("-" if at is None else f"{at:.3f}" for at in keys)])
    return _table(rows)


def _floor(found: dict[str, Any]) -> str:
    floor = found["floor"]
    if not floor:
        return ""
    return (
        f"Detection ({floor['detection_s']:.3f} s) and a bare `pg_promote` until the first write"
        f" ({floor['pg_promote_s']:.3f} s, median of {floor['n']})\n"
        f"are the floor of silent site loss: {floor['floor_s']:.3f} s."
        f" The outage is {floor['ratio']:.2f} times that.\n"
    )


def _used(found: dict[str, Any]) -> str:
    """Who ran, and who waited for a processor, from the blow to the end of the role change."""
    faults = [each for each in found["faults"].values() if each["tricast"].get("used")]
    if not faults:
        return ""
    tables = [each["tricast"]["used"] for each in faults]
    total: dict[str, float] = {}
    for table in tables:
        for name, ran_s in table["ran_s"].items():
            total[name] = total.get(name, 0.0) + ran_s
    rows = [["tricast, median s that ran / waited for a core", *(each["title"] for each in faults)]]
    rows += [
        [name, *(_ran_and_waited(table, name) for table in tables)]
        for name in sorted(total, key=lambda name: -total[name])[:USERS]
    ]
    rows.append(["all cores busy", *(f"{table['busy']:.0%}" for table in tables)])
    return _table(rows)


def _ran_and_waited(table: dict[str, Any], name: str) -> str:
    if name not in table["ran_s"]:
        return "-"
    return f"{table['ran_s'][name]:.3f} / {table['waited_s'].get(name, 0.0):.3f}"


def _goals(found: dict[str, Any]) -> str:
    rows = [["goal", "bound", "measured", ""]]
    rows += [
        [
            goal["what"],
            f"{goal['bound']:g}",
            f"{goal['value']:g}",
            "met" if goal["met"] else "missed",
        ]
        for goal in found["goals"]
    ]
    return _table(rows)


def _machine(found: dict[str, Any]) -> str:
    ended = sorted(run["at"] for run in found["runs"] if "at" in run)
    spans = [f"Runs ended between {ended[0]} and {ended[-1]}.\n\n"] if ended else []
    return "".join(spans) + _table(
        [["", ""], *([key, str(value)] for key, value in found["machine"].items())]
    )
