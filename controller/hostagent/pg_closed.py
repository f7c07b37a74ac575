"""The files that make a start of PostgreSQL safe: a standby of nobody, open to nobody.

A gate file lists who may log in by one line of pg_hba.conf. It is never empty and never absent:
PostgreSQL 15 refuses the whole pg_hba.conf when a list it names is empty or missing, and on a
reload it then keeps the old rules. So a closed list holds one name that is no role.
"""

import re
import shutil
from pathlib import Path

from controller.hostagent import wal
from controller.hostagent.contract import Refused, run, sync_directory, write_file
from controller.hostagent.pg_server import Server
from controller.hostagent.wal_end import LogEnd, Reader

NOBODY = "nobody_is_admitted"
CLIENTS = "clients"
VOTER_PREFIX = "voter_"
PASSES = ("upstream.pgpass", "voter.pgpass", "rejoin.pgpass")
OURS = (
    "primary_conninfo",
    "primary_slot_name",
    "restore_command",
    "synchronous_standby_names",
    "synchronous_commit",
    "fsync",
    "full_page_writes",
)


def rebuilding_mark(server: Server) -> Path:
    """The file that says the data directory is half rewound or half copied."""
    return server.gate_dir / "rebuilding"


def prepare(server: Server, *, conninfo: str = "") -> None:
    """Whatever starts the server now, it comes up in recovery with everybody locked out.

    With `conninfo` it follows that server in quarantine; otherwise nobody.
    """
    mark = rebuilding_mark(server)
    if mark.exists():
        raise Refused(
            f"{server.data_dir} is unusable: {mark.read_text(encoding='utf-8').strip()}; run rejoin"
        )
    if not (server.data_dir / "PG_VERSION").exists():
        raise Refused(f"no database in {server.data_dir}; provision it first")
    close_gate(server)
    passes = server.gate_dir / "rejoin.pgpass" if conninfo else None
    write_file(
        server.gate_dir / "upstream.pgpass",
        passes.read_text(encoding="utf-8") if passes else "",
        server.who,
    )
    write_file(server.data_dir / "standby.signal", "", server.who)
    (server.data_dir / "recovery.signal").unlink(missing_ok=True)
    _write_auto_conf(server, conninfo)
    drop_unreached_timelines(server)
    sync_directory(server.data_dir)


def close_gate(server: Server) -> None:
    """Every list of the gate names nobody."""
    lists = [p for p in server.gate_dir.iterdir() if p.name.startswith(VOTER_PREFIX)]
    for path in [*(p for p in lists if p.suffix == ""), server.gate_dir / CLIENTS]:
        write_file(path, f"{NOBODY}\n", server.who)


def _write_auto_conf(server: Server, conninfo: str) -> None:
    path = server.data_dir / "postgresql.auto.conf"
    try:
        old = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        old = []
    ours = re.compile(rf"\s*({'|'.join(OURS)})\s*=", re.IGNORECASE)
    kept = [line for line in old if not ours.match(line)]
    quoted = conninfo.replace("'", "''")
    kept += [f"primary_conninfo = '{quoted}'", "primary_slot_name = ''", "restore_command = ''"]
    write_file(path, "\n".join(kept) + "\n", server.who)


def log_reader(server: Server) -> Reader:
    """Reads the log of a server that is down."""
    return Reader(server.wal_dir, server.program("pg_waldump"), server.who)


def drop_unreached_timelines(server: Server) -> LogEnd | None:
    """The newest history in the log directory is that of the last record. The end of the log.

    A history that was fetched or planted, and never reached, would be taken for the timeline to
    follow, and the server could then follow no other.
    """
    held = wal.holdings(p.name for p in server.wal_dir.iterdir())
    newest = max([*held.histories, *(s.timeline for s in held.segments)], default=1)
    if newest <= max(control_timelines(server)):
        return None
    end = log_reader(server).log_end()
    if end is None:
        return None
    for path in list(server.wal_dir.iterdir()):
        segment = wal.parse_segment(path.name)
        timeline = segment.timeline if segment else wal.parse_history_name(path.name)
        if timeline is not None and timeline > end.timeline:
            path.unlink()
    sync_directory(server.wal_dir)
    return end


def control(server: Server) -> dict[str, str]:
    """What pg_controldata says, by its own names."""
    done = run([server.program("pg_controldata"), str(server.data_dir)], server.who, timeout_s=10)
    pairs = (line.partition(":") for line in done.stdout.splitlines())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if "Latest checkpoint's TimeLineID" not in found:
        raise Refused(f"pg_controldata cannot read {server.data_dir}: {done.stderr.strip()}")
    return found


def control_timelines(server: Server) -> tuple[int, int]:
    """Of its last checkpoint, and of the end that its recovery has to reach (0: none)."""
    found = control(server)
    return (
        int(found["Latest checkpoint's TimeLineID"]),
        int(found.get("Min recovery ending loc's timeline", "0")),
    )


def remove_tree(path: Path) -> None:
    """Nothing is at `path`."""
    if path.exists():
        shutil.rmtree(path)
