"""What people do to the lab: operators with `tricast`, others with the store and the databases."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from lab.netns.error import LabError
from lab.rehearsal.eyes import Eyes
from lab.scenario.arguments import DATA_SITES, SITES
from lab.scenario.hands import PREFIX, Act, Hands, willing
from lab.scenario.matching import Phrase
from lab.scenario.places import ADDRESS
from lab.scenario.play import StageError
from lab.scenario.settings import leased_wallet
from lab.scenario.tampering import TAMPERING

COLLEAGUE: Final = "daemon"  # an account that every node has
WITH_DATABASES: Final = "wallet"
REASON: Final = ("--reason", "as the scenario says")
YES: Final = ("--yes", *REASON)


# --- operators -----------------------------------------------------------------------------------


async def _pause(hands: Hands, phrase: Phrase) -> None:
    service = ("--service", phrase.text("SERVICE"))
    await hands.tricast("pause", *service, *REASON)
    hands.standing[f"pause {phrase.text('SERVICE')}"] = ("resume", *service)


async def _resume(hands: Hands, phrase: Phrase) -> None:
    await hands.end_order(f"pause {phrase.text('SERVICE')}")


async def _switchover(hands: Hands, phrase: Phrase) -> None:
    await _ask(hands, phrase, "switchover")


async def _failover(hands: Hands, phrase: Phrase) -> None:
    await _ask(hands, phrase, "failover")


async def _forced_failover(hands: Hands, phrase: Phrase) -> None:
    await _ask(hands, phrase, "failover", "--allow-data-loss")


async def _ask(hands: Hands, phrase: Phrase, verb: str, *more: str) -> None:
    site = phrase.text("DC")
    words = (verb, "--service", phrase.text("SERVICE"), "--to", site, *more, "--yes", *REASON)
    hands.refusal = ""
    try:
        await hands.tricast(*words, "--no-wait", at=site)
    except LabError as error:  # refused when it is planned, there is no request
        hands.refusal = str(error)


async def _force_single(hands: Hands, phrase: Phrase) -> None:
    site = phrase.text("DC")
    words = ("force-single", site, "--service", phrase.text("SERVICE"), "--confirm", site)
    await willing(lambda: hands.tricast(*words, *REASON, "--no-wait", at=site))


async def _drain(hands: Hands, phrase: Phrase) -> None:
    site = phrase.text("DC")
    await hands.tricast("drain", site, "--yes", "--no-wait", *REASON)
    hands.standing[f"drain {site}"] = ("undrain", site)


async def _undrain(hands: Hands, phrase: Phrase) -> None:
    await hands.end_order(f"drain {phrase.text('DC')}")


async def _fence(hands: Hands, phrase: Phrase) -> None:
    """What was said against it is remembered."""
    site, hands.objection = phrase.text("DC"), ""
    try:
        await hands.tricast("fence", site, "--yes", "--no-wait", *REASON)
    except LabError as error:
        hands.objection = str(error)
    else:
        hands.standing[f"fence {site}"] = ("unfence", site)


async def _unfence(hands: Hands, phrase: Phrase) -> None:
    await hands.end_order(f"fence {phrase.text('DC')}")


def _repair(verb: str) -> Act:
    """What was said against it is remembered."""

    async def act(hands: Hands, phrase: Phrase) -> None:
        site, database, hands.objection = phrase.text("DC"), phrase.text("DATABASE"), ""
        words = (verb, site, "--service", WITH_DATABASES, "--database", database, "--yes")
        try:
            await hands.tricast(*words, "--no-wait", *REASON)
        except LabError as error:
            hands.objection = str(error)

    return act


def _vote(verb: str) -> Act:
    """What was said against it is remembered."""

    async def act(hands: Hands, phrase: Phrase) -> None:
        site, service, hands.objection = phrase.text("SITE"), phrase.text("SERVICE"), ""
        try:
            await hands.tricast("voters", verb, site, "--service", service, "--no-wait", *YES)
        except LabError as error:
            hands.objection = str(error)
            return
        hands.standing.pop(f"demote {site}", None)
        if verb == "demote":
            hands.standing[f"demote {site}"] = (
                "voters",
                "promote",
                site,
                "--service",
                service,
                *YES,
            )

    return act


async def _prefer(hands: Hands, phrase: Phrase) -> None:
    site, service = phrase.text("DC"), ("--service", phrase.text("SERVICE"))
    others = [f"{other}=0" for other in DATA_SITES if other != site]
    await hands.tricast("weights", "set", f"{site}=100", *others, *service, *YES)
    hands.standing[f"prefer for {phrase.text('SERVICE')}"] = ("weights", "clear", *service, *YES)


async def _prefer_none(hands: Hands, phrase: Phrase) -> None:
    await hands.end_order(f"prefer for {phrase.text('SERVICE')}")


async def _allow_move(hands: Hands, phrase: Phrase) -> None:
    await hands.tricast("ack", "--service", phrase.text("SERVICE"), *REASON)


def _verdict(verb: str, *more: str, by: str = COLLEAGUE) -> Act:
    """Somebody approves or declines the newest request, and remembers what was said against it."""

    async def act(hands: Hands, phrase: Phrase) -> None:
        newest = max((int(found["number"]) for found in await asked(hands, phrase)), default=0)
        words = (verb, str(newest), "--service", phrase.text("SERVICE"), *more)
        hands.objection = ""
        try:
            await hands.tricast(*words, "--no-wait", by=by)
        except LabError as error:
            hands.objection = str(error)

    return act


async def asked(hands: Hands, phrase: Phrase) -> list[dict[str, Any]]:
    """Everything that operators have asked of the service."""
    words = ("requests", "--all", "--service", phrase.text("SERVICE"), "--json")
    done = await hands.tricast(*words)
    return list(json.loads(done.stdout)["requests"])


async def _misconfigure(hands: Hands, phrase: Phrase) -> None:
    await hands.settings.change(leased_wallet, (phrase.text("DC"),))


async def _correct(hands: Hands, phrase: Phrase) -> None:
    await hands.settings.restore(phrase.text("DC"))


def _tamper(how: str) -> Act:
    async def act(hands: Hands, phrase: Phrase) -> None:
        hands.audits.tamper(phrase.text("SITE"), how)

    return act


async def _audit_full(hands: Hands, phrase: Phrase) -> None:
    await hands.audits.fill(phrase.text("SITE"))


async def _audit_room(hands: Hands, phrase: Phrase) -> None:
    await hands.audits.free(phrase.text("SITE"))


# --- the store, a database by hand ---------------------------------------------------------------


async def _remember(hands: Hands, _: Phrase) -> None:
    hands.snapshot = await _records(hands)


async def _records(hands: Hands) -> dict[str, str]:
    found = json.loads(await hands.etcdctl("get", "--prefix", f"{PREFIX}services/", "-w", "json"))
    return {
        base64.b64decode(entry["key"]).decode(): base64.b64decode(entry["value"]).decode()
        for entry in found.get("kvs", ())
    }


async def _roll_back(hands: Hands, _: Phrase) -> None:
    if not hands.snapshot:
        raise StageError("there is no snapshot: `remember store` comes first")
    hands.newest = await _records(hands)
    await _put_all(hands, hands.snapshot)


async def _empty(hands: Hands, _: Phrase) -> None:
    hands.newest = await _records(hands)
    await hands.etcdctl("del", "--prefix", f"{PREFIX}services/")


async def _roll_on(hands: Hands, _: Phrase) -> None:
    await _put_all(hands, hands.newest)


async def _put_all(hands: Hands, records: Mapping[str, str]) -> None:
    for key, value in records.items():
        await hands.etcdctl("put", key, stdin=value)


async def _compact(hands: Hands, _: Phrase) -> None:
    found = json.loads(await hands.etcdctl("get", "--prefix", PREFIX, "-w", "json"))
    await hands.etcdctl("compact", str(found["header"]["revision"]))
    for site in SITES:
        await hands.etcdctl("--endpoints", f"http://{ADDRESS[site]}:2379", "defrag")


async def _put_right(hands: Hands, phrase: Phrase) -> None:
    service = phrase.text("SERVICE")
    eyes = Eyes(hands.lab)
    known = [0]
    for site in SITES:
        for side in (await eyes.service(site, service)).get("sites", ()):
            known += [int(found["promised"]) for found in side.get("databases", ())]
    record = {
        "format": 1,
        "epoch": max(known) + 1,
        "holder": phrase.text("DC"),
        "kind": "regained",
        "reason": "put right by hand",
        "asked_by": "scenario",
        "at": "2026-01-01T00:00:00.000Z",
    }
    key = f"{PREFIX}services/{service}/epoch"
    await hands.etcdctl("put", key, stdin=json.dumps(record))


async def _promote_by_hand(hands: Hands, phrase: Phrase) -> None:
    node = f"{phrase.text('DC')}-db"
    as_postgres = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-h", "/run/postgresql"]
    as_root = ["mariadb", "--defaults-file=/dev/null", "-u", "root"]
    command = {
        "ledger": [*as_postgres, "-d", "wallet", "-c", "select pg_promote(true, 10)"],
        "journal": [*as_root, "--socket=/run/mysqld/journal.sock", "-e", _OPEN_MARIADB],
    }[phrase.text("DATABASE")]
    done = await hands.lab.run(node, command, check=False)
    if done.code:
        raise StageError(f"{node}: {done.stderr.strip()[-200:]}")


_OPEN_MARIADB: Final = "stop slave; set global read_only = 0"

PEOPLE: Final[Mapping[str, Act]] = {
    "pause": _pause,
    "resume": _resume,
    "switchover": _switchover,
    "failover": _failover,
    "forced_failover": _forced_failover,
    "force_single": _force_single,
    "drain": _drain,
    "undrain": _undrain,
    "fence": _fence,
    "unfence": _unfence,
    "demote": _vote("demote"),
    "promote": _vote("promote"),
    "reinit": _repair("reinit"),
    "rejoin": _repair("rejoin"),
    "prefer": _prefer,
    "prefer_none": _prefer_none,
    "allow_move": _allow_move,
    "approve": _verdict("approve"),
    "approve_own": _verdict("approve", by="root"),
    "approve_other": _verdict("approve", "--plan", "another-plan"),
    "decline": _verdict("decline"),
    "withdraw": _verdict("decline", by="root"),
    **{how: _tamper(how) for how in TAMPERING},
    "audit_full": _audit_full,
    "audit_room": _audit_room,
    "misconfigure": _misconfigure,
    "correct": _correct,
    "remember": _remember,
    "roll_back": _roll_back,
    "empty": _empty,
    "roll_on": _roll_on,
    "put_right": _put_right,
    "compact": _compact,
    "promote_by_hand": _promote_by_hand,
}
