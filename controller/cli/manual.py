"""What `tricast VERB --help` says below the options: limits, examples, exit codes."""

from collections.abc import Iterator, Mapping
from typing import Final

import click

from controller.cli.exit_codes import ExitCode
from controller.cli.manual_mending import MENDING
from controller.cli.manual_orders import ORDERS
from controller.cli.manual_page import (
    ASKING,
    CONFIG,
    DONE,
    ENDING,
    FAILED,
    MOVING,
    NO_DAEMON,
    ORDERING,
    PLANNING,
    REFUSED,
    TELLING,
    UNAVAILABLE,
    UNKNOWN,
    USAGE,
    WAITING,
    WRITING,
    Manual,
    codes,
    page,
)
from controller.cli.manual_voters import VOTERS

MANUAL: Final[Mapping[str, Manual]] = {
    "run": Manual(
        limits="It starts no database, haproxy or ExaBGP by being started, and stops none when it "
        "ends: a restart leaves everything as it is. systemd runs it (configs/systemd).",
        examples=("tricast run --config /etc/tricast/tricast.yml --site dc1",),
        codes=WRITING,
    ),
    "witness": Manual(
        limits="It never acts on a data site: it looks, keeps log, and votes. Its PostgreSQL "
        "receiver ends with it, and the standby acknowledges meanwhile.",
        examples=("tricast witness --config /etc/tricast/tricast.yml --site witness",),
        codes=WRITING,
    ),
    "speaker": Manual(
        limits="It decides nothing: it says what the daemon permits, and becomes isolated by "
        "itself when the permit runs out.",
        examples=("tricast speaker --spec /run/tricast/speaker.json",),
        codes=WRITING,
    ),
    "status": Manual(
        limits="It shows what the answering site knows: another site's line is as old as its "
        "column Heard. It changes nothing. For a tree: tricast topology; for what happens: "
        "tricast watch; for why: tricast explain.",
        examples=("tricast status --service wallet", "tricast status --url http://10.2.0.1:7800"),
        codes=ASKING,
    ),
    "watch": Manual(
        limits="It changes nothing. For what happened before: tricast history, tricast audit show.",
        examples=("tricast watch --service wallet", "tricast watch --json | jq -c 'select(.bad)'"),
        codes=WRITING | NO_DAEMON | {DONE: "ended by Ctrl-C"},
    ),
    "topology": Manual(
        limits="BGP sessions and haproxy of a site that "
        "does not answer are not known; what its last report said is shown, and that it is silent.",
        examples=("tricast topology", "tricast topology --service wallet --json"),
        codes=ASKING,
    ),
    "explain": Manual(
        limits="It changes nothing. Another site's evidence is not shown: ask it with --url.",
        examples=("tricast explain wallet", "tricast explain wallet --url http://10.2.0.1:7800"),
        codes=ASKING,
    ),
    "history": Manual(
        limits="Only finished role changes: one that is under way is in tricast explain, refusals "
        "and requests are in tricast audit show. What a site saw is known once it has said it: one "
        "that is lost has not. Steps and routes are told of the first minute. Of changes by older "
        "versions only what they recorded is shown.",
        examples=("tricast history --service wallet --limit 5", "tricast history wallet/7"),
        codes=ASKING,
    ),
    "notify list": Manual(
        limits="The answering site's own targets and counts, since its daemon started.",
        examples=("tricast notify list", "tricast notify list --json"),
        codes=ASKING,
    ),
    "notify test": Manual(
        limits="One attempt each, from the daemon of this node; it shows that a target takes "
        "notices, not that anybody reads them.",
        examples=("tricast notify test", "tricast notify test operators"),
        codes=codes(DONE, FAILED, UNKNOWN, REFUSED, USAGE, UNAVAILABLE, CONFIG)
        | {DONE: "each took it", FAILED: "one did not"},
    ),
    "audit show": Manual(
        limits="Only the answering site's own log, and no proof that it is whole: see tricast "
        "audit verify.",
        examples=("tricast audit show --since 2026-11-21T10:00 --service wallet --verbose",),
        codes=ASKING,
    ),
    "audit verify": Manual(
        limits="It mends nothing. A place whose anchor could not be asked is named, and is a "
        "reason to ask again.",
        examples=(
            "tricast audit verify",
            "tricast audit verify --from 1200",
            "tricast audit verify --dir /mnt/worm/dc1",
        ),
        codes=ASKING
        | {
            DONE: "the log is whole",
            FAILED: "it is not",
            UNKNOWN: "another version of tricast wrote it, and has to tell",
        },
    ),
    "audit export": Manual(
        limits="It removes nothing from the log, and replaces no file.",
        examples=(
            "tricast audit export /mnt/worm/dc1-2026-11-21.audit",
            "tricast audit export --from 1200 --to 1300 /tmp/incident.audit",
        ),
        codes=codes(*ASKING, REFUSED)
        | {
            FAILED: "written, but the log is broken; or not written",
            UNKNOWN: "written, but another version of tricast wrote the log, and has to verify it",
        },
    ),
    "audit archive": Manual(
        limits="It never touches the current file, and replaces none in the folder. It takes the "
        "files that are closed now; a file is closed when it has audit.rotate_bytes. What is not "
        "on record stays on the disk.",
        examples=("tricast audit archive --out /mnt/worm/dc1",),
        codes=codes(DONE, FAILED, UNKNOWN, REFUSED, USAGE, UNAVAILABLE, CONFIG)
        | {
            FAILED: "a copy could not be written, or a file is broken: it was not removed",
            UNKNOWN: "a file is copied, and nobody knows whether it is removed: ask again",
        },
    ),
    "plan switchover": Manual(
        limits="It asks for nothing, so nothing is reserved: what is asked later is judged again. "
        "The wait is what was measured before, not a promise. Steps that only another site knows "
        "are marked [?] where that site cannot be asked.",
        examples=(
            "tricast plan switchover --service wallet --to dc2",
            "tricast plan switchover --service wallet --url http://10.1.0.1:7800 --json",
        ),
        codes=PLANNING,
    ),
    "plan failover": Manual(
        limits="What may be lost is only known to the daemon of the site that would take over: ask "
        "there, or name it with --url. What the silent holder holds is not known to anybody.",
        examples=(
            "tricast plan failover --service wallet --to dc2",
            "tricast plan failover --service wallet --to dc2 --allow-data-loss"
            " --url http://10.2.0.1:7800",
        ),
        codes=PLANNING,
    ),
    "plan drain": Manual(
        limits="A drain is accepted, and stands, even where no site can take a service over now: "
        "read what would not begin. Each service is moved by a switchover of its own.",
        examples=("tricast plan drain dc1",),
        codes=PLANNING,
    ),
    "switchover": Manual(
        limits="It loses nothing, and forces nothing: it is refused when the other site could not "
        "serve at once, and taken back after hand_over_s. Sessions of SQL clients at the old site "
        "are cut. When the holder is dead or ill: tricast failover.",
        examples=(
            "tricast switchover --service wallet --to dc2 --reason 'patches in dc1'",
            "tricast switchover --service wallet --yes --in 600",
            "tricast switchover --service wallet --to dc2 --at 03:00 --no-wait",
        ),
        codes=MOVING,
    ),
    "failover": Manual(
        limits="Ask on a node of the site that takes over. It asks for the same proof as an "
        "automatic takeover; --allow-data-loss does without voters that are missing, says which, "
        "and what may be lost. It does not wait for the holder. After etcd was restored "
        "from an old snapshot (rule 101) ask the site that serves: its new epoch is above all "
        "that it sees.",
        examples=("tricast failover --service wallet --to dc2 --reason 'dc1 burns'",),
        codes=MOVING,
    ),
    "force-single": Manual(
        limits="Never for two sites: one of the two histories would be thrown away. It is refused "
        "while another data site is heard or a voter follows, and ends by itself when one does "
        "again. It needs no etcd.",
        examples=("tricast force-single dc2 --service wallet --reason 'dc1 and witness burnt'",),
        codes=ORDERING,
    ),
    **ORDERS,
    **VOTERS,
    **MENDING,
    "requests": Manual(
        limits="It changes nothing; those that are over are shown with --all, and for ever in "
        "tricast audit show.",
        examples=("tricast requests", "tricast requests --all --service wallet"),
        codes=ASKING,
    ),
    "proposals": Manual(
        limits="It changes nothing. What needs no approval is in tricast requests.",
        examples=("tricast proposals",),
        codes=ASKING,
    ),
    "approve": Manual(
        limits="Who asked cannot, nobody counts twice, and only persons of the groups that the "
        "policy names count. With --plan it is refused when the request is no longer what you "
        "looked at. Ask for a force-single, and for a failover with --allow-data-loss, at the "
        "site that it is about.",
        examples=(
            "tricast approve 7 --service wallet --plan 9f2c81d0a4b7e653",
            "tricast approve 1 --site dc1",
        ),
        codes=TELLING,
    ),
    "decline": Manual(
        limits="It does not stop what has begun: a hand-over ends by itself, done or taken back. A "
        "rejoin or a reinit is given up, but a copy that has begun goes on; so is a change of who "
        "votes, but what the epoch record says by then stays.",
        examples=("tricast decline 7 --service wallet --reason 'not during the match'",),
        codes=ENDING,
    ),
    "doctor": Manual(
        limits="It mends nothing, and sees only what this site can reach: run it at each.",
        examples=(
            "tricast doctor --config /etc/tricast/tricast.yml --site dc1",
            "tricast doctor --config /etc/tricast/tricast.yml --json",
        ),
        codes=codes(DONE, USAGE)
        | {FAILED: "something is bad", UNKNOWN: "nothing is bad, but something is unknown"},
    ),
    "drill plan": Manual(
        limits="It changes nothing. Ask on the node itself, as for a switchover. The canary is "
        "asked once, from here.",
        examples=("tricast drill plan --service wallet", "tricast drill plan --json"),
        codes=codes(DONE, FAILED, UNKNOWN, REFUSED, USAGE, UNAVAILABLE, CONFIG)
        | NO_DAEMON
        | {DONE: "a drill may begin now", REFUSED: "it must not begin now, with the reasons"},
    ),
    "drill run": Manual(
        limits="It moves a service that serves: SQL sessions at the site it leaves are cut, twice. "
        "It rehearses a planned move; that a site dies is rehearsed in the lab. It sees what one "
        "client sees, from here: on an edge node the service address is local, so run it from "
        "outside the sites (--server). --timeout is for each wait: a request, its approval, a site "
        "that has to be ready. While it goes back, Ctrl-C does nothing more.",
        examples=(
            "tricast drill run --service wallet --reason 'spring drill'",
            "tricast drill run --service wallet --hold 600 --out /srv/drills --yes",
        ),
        codes=codes(*(code for code in ExitCode if code is not WAITING))
        | {
            DONE: "passed: it went there and back, and every objective was met",
            FAILED: "it moved, and failed or was ended; the report says why",
            UNKNOWN: "nobody knows whether a request stands: look (tricast requests)",
            REFUSED: "nothing has moved: the reasons, or who ended it",
        },
    ),
    "drill report": Manual(
        limits="It prints what was measured then; how the service is now: tricast status.",
        examples=(
            "tricast drill report",
            "tricast drill report --last --html /srv/www/drill.html",
        ),
        codes=WRITING | {USAGE: "there is no such report"},
    ),
    "config check": Manual(
        limits="It asks no daemon and reaches no server: that names resolve and passwords work is "
        "not looked at.",
        examples=("tricast config check /etc/tricast/tricast.yml --secrets --site dc1",),
        codes=codes(DONE, USAGE, CONFIG) | {CONFIG: "it cannot be used; every problem is listed"},
    ),
    "config show": Manual(
        limits="Without FILE it is what one daemon runs with, as it read it: each site is asked by "
        "itself, and tricast config diff asks all. Whether secrets are there is looked at by "
        "tricast config check --secrets.",
        examples=(
            "tricast config show /etc/tricast/tricast.yml --no-defaults",
            "tricast config show --service wallet",
            "tricast config show --url http://10.2.0.1:7800 --json",
        ),
        codes=ASKING,
    ),
    "config diff": Manual(
        limits="It changes nothing. Secrets are not compared, only where they come from. A daemon "
        "takes no changed file by itself: it is restarted.",
        examples=("tricast config diff", "tricast config diff /tmp/tricast.yml --json"),
        codes=codes(DONE, FAILED, UNKNOWN, USAGE, UNAVAILABLE, CONFIG)
        | {
            DONE: "no difference, and every site answered",
            FAILED: "a difference",
            UNKNOWN: "no difference, but a site that was asked did not answer",
        },
    ),
    "config edit": Manual(
        limits="It changes this one file: it copies it to no other node and restarts nothing.",
        examples=(
            "tricast config edit /etc/tricast/tricast.yml",
            "tricast config edit /etc/tricast/tricast.yml --secrets --site dc1",
        ),
        codes=codes(DONE, FAILED, REFUSED, USAGE, CONFIG)
        | {
            DONE: "written, or nothing was changed",
            FAILED: "not written: the editor, or the disk",
            REFUSED: "thrown away, or somebody else has changed the file: it is as that made it",
            CONFIG: "it cannot be read; or, with --yes, the edit cannot be used",
        },
    ),
    "render": Manual(
        limits="It restarts nothing, and writes no haproxy, etcd or database configuration.",
        examples=(
            "tricast render --config /etc/tricast/tricast.yml --site dc1 --out /run/tricast",
        ),
        codes=WRITING,
    ),
    "completion": Manual(
        limits="Put it where your shell looks, or load it with: source <(tricast completion bash).",
        examples=(
            "tricast completion bash > /etc/bash_completion.d/tricast",
            "tricast completion zsh > /usr/local/share/zsh/site-functions/_tricast",
            "tricast completion fish > ~/.config/fish/completions/tricast.fish",
        ),
        codes=codes(DONE, USAGE),
    ),
    "docs": Manual(
        limits="Only generated pages: rules.md, the diagrams and the schema of the API.",
        examples=("tricast docs --out docs",),
        codes=codes(DONE, FAILED, USAGE),
    ),
    "version": Manual(
        limits="The version of this command; that of a daemon is in tricast status --json.",
        examples=("tricast version --json",),
        codes=codes(DONE, USAGE),
    ),
}


def verbs(root: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb that does something, by the words it is typed with."""
    for name, command in root.commands.items():
        words = f"{above} {name}".lstrip()
        if isinstance(command, click.Group):
            yield from verbs(command, words)
        else:
            yield words, command


def attach(root: click.Group) -> None:
    """Every verb's help ends with its manual."""
    for words, command in verbs(root):
        if words in MANUAL:
            command.epilog = page(MANUAL[words])
