"""A returning database becomes a prefix of the new primary's log, and keeps evidence of the rest.

Order: look at the new primary; stop; compare ancestries; save what will be thrown away; rewind, or
copy afresh when that fails. From the first byte changed until the last, a mark beside the data
directory keeps anybody from starting it.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from controller.hostagent import pg_closed, pg_server, wal
from controller.hostagent.contract import Failed, Refused, Request, run, write_file
from controller.hostagent.pg_server import Server
from controller.hostagent.progress import Course, course, run_telling
from controller.hostagent.wal_end import LogEnd

LONG_S = 6 * 3600.0
_LOOK = (
    "select pg_is_in_recovery(), (select timeline_id from pg_control_checkpoint()),"
    " (select system_identifier from pg_control_system())"
)
_OLDEST = (
    "select min(substr(name, 9)) from pg_ls_dir('pg_wal', false, false) as name"
    " where length(name) = 24"
)


@dataclass(frozen=True, slots=True)
class Source:
    """The new primary, as the rejoin credential reaches it."""

    server: Server
    host: str
    port: str
    user: str
    told: Course  # where the work on its copy tells how far it is

    @property
    def conninfo(self) -> str:
        """Without the password, which stays in its file."""
        return (
            f"host={self.host} port={self.port} user={self.user} dbname=postgres"
            f" passfile={self.server.gate_dir / 'rejoin.pgpass'} connect_timeout=5"
            " keepalives_idle=3 keepalives_interval=1 keepalives_count=3"
        )

    def query(self, sql: str) -> list[str]:
        """The fields of the first row."""
        psql = [self.server.program("psql"), "-XAtq", "-F", "|", "-d", self.conninfo, "-c", sql]
        done = run(psql, self.server.who, timeout_s=15)
        if done.returncode != 0:
            raise Refused(f"{self.host}:{self.port} does not answer: {done.stderr.strip()[-300:]}")
        return done.stdout.strip().split("|")

    def ancestry(self, timeline: int) -> wal.Ancestry:
        """Where the new primary's log comes from."""
        if timeline == 1:
            return ()
        name = wal.history_name(timeline)
        sql = f"select encode(pg_read_binary_file('pg_wal/{name}'), 'hex')"
        return wal.parse_history(bytes.fromhex(self.query(sql)[0]).decode())

    def oldest_segment(self) -> int:
        """The number of the first segment the new primary still has."""
        found = self.query(_OLDEST)
        segment = wal.parse_segment(f"{1:08X}{found[0]}")
        return segment.number if segment else 0


def rejoin(request: Request) -> dict[str, str]:
    """The database follows the new primary in quarantine; what was thrown away is saved."""
    server = pg_server.server_of(request)
    with course(server.gate_dir) as told:
        return _rejoin(request, server, told)


def _rejoin(request: Request, server: Server, told: Course) -> dict[str, str]:
    site, epoch = request.need("site"), request.number("epoch")
    user = request.args.get("user", f"rejoin_{site}")
    source = Source(server, request.need("host"), request.need("port"), user, told)
    mark = pg_closed.rebuilding_mark(server)
    # A mark left by a call that was cut short: the directory is beyond a rewind.
    broken = mark.exists() or not (server.data_dir / "PG_VERSION").exists()
    system = check_source(source, epoch)
    if broken or request.args.get("fresh"):
        if not broken:
            refuse_writable(server)
        pg_server.stop(server, at_once=True)
        why = "the data directory was unusable" if broken else "an operator wants it made anew"
        discarded, method = f"all of it: {why}", copy_afresh(source)
    else:
        check_same_system(server, system)
        told.phase("stop")
        stop_where_it_is(server)
        discarded, method = make_prefix(source, epoch)
    told.phase("start")
    pg_closed.prepare(server, conninfo=f"{source.conninfo} application_name={site}_rejoin")
    state = pg_server.start(server, request.seconds("wait_s", 1.0))
    return {"discarded": discarded, "method": method, "state": state}


def check_source(source: Source, epoch: int) -> str:
    """The source is primary of `epoch`, and its control file says so. Its system identifier."""
    recovering, timeline, system = source.query(_LOOK)
    where = f"{source.host}:{source.port}"
    if recovering != "f":
        raise Refused(f"{where} is not a primary")
    if int(timeline) != epoch:
        # pg_rewind would take an old timeline there for ours and find nothing to rewind.
        raise Refused(f"{where} has its last checkpoint on timeline {timeline}, not yet {epoch}")
    return system


def check_same_system(server: Server, system: str) -> None:
    """Our database and the source's were made by one initdb."""
    mine = pg_closed.control(server)["Database system identifier"]
    if mine != system:
        raise Refused(f"{server.name} has system identifier {mine}, the new primary {system}")


def refuse_writable(server: Server) -> None:
    """A server that runs is no primary."""
    if pg_server.postmaster(server) is None:
        return
    if pg_closed.control(server).get("Database cluster state") == "in production":
        raise Refused(f"{server.name} is writable; close it first")


def stop_where_it_is(server: Server) -> None:
    """Down, with a control file that pg_rewind accepts.

    A server in recovery, or one that is down, is started closed first if it was not stopped in
    order: its crash recovery then happens as a standby, which keeps every record.
    """
    clean = ("shut down", "shut down in recovery")
    if pg_server.postmaster(server) is not None:
        refuse_writable(server)
    else:
        if pg_closed.control(server).get("Database cluster state") in clean:
            return
        pg_closed.prepare(server)
        if pg_server.start(server, LONG_S) != pg_server.READY:
            raise Failed(f"{server.name} does not reach consistency by itself")
    pg_server.stop(server, at_once=False)
    state = pg_closed.control(server).get("Database cluster state")
    if state not in clean:
        raise Failed(f"{server.name} was stopped but its control file says {state!r}")


def make_prefix(source: Source, epoch: int) -> tuple[str, str]:
    """Our log is a prefix of the source's. What was thrown away, and how it was done."""
    server = source.server
    end = pg_closed.log_reader(server).log_end()
    if end is None:
        return "all of it: its log holds no record", copy_afresh(source)
    mine = wal.read_ancestry(server.wal_dir, end.timeline)
    fork = wal.fork_of(end.timeline, mine, epoch, source.ancestry(epoch), end.position)
    if fork is None:
        if end.position // wal.SEGMENT_BYTES < source.oldest_segment():
            return "", copy_afresh(source)
        return "", "none"
    if fork.timeline == 0:
        raise Refused(f"{server.name} on timeline {end.timeline} has no ancestor in common")
    source.told.phase("save what is thrown away")
    discarded = save_tail(server, end, fork)
    write_file(pg_closed.rebuilding_mark(server), "a rewind did not finish\n", server.who)
    method = rewind(source, end, fork)
    pg_closed.rebuilding_mark(server).unlink(missing_ok=True)
    return discarded, method


def rewind(source: Source, end: LogEnd, fork: wal.Fork) -> str:
    """Our files are those of the source where the logs part; "rewind", "cut" or "base backup"."""
    server = source.server
    argv = [server.program("pg_rewind"), "-D", str(server.data_dir), "--no-ensure-shutdown"]
    argv += ["--progress", "--source-server", source.conninfo]
    source.told.phase("rewind")
    done = run_telling(argv, server.who, source.told, timeout_s=LONG_S)
    if done.returncode != 0 and "error: connection to server" in done.stderr:
        pg_closed.rebuilding_mark(server).unlink(missing_ok=True)  # nothing was changed
        raise Refused(f"{source.host}:{source.port} does not answer: {done.stderr.strip()[-300:]}")
    if done.returncode != 0:
        return copy_afresh(source) + f" (pg_rewind: {done.stderr.strip()[-200:]})"
    if "no rewind required" in done.stderr:
        # No page holds anything beyond the fork, but the log does.
        asked = max(pg_closed.control_timelines(server))
        if asked > fork.timeline:
            # It would look for that timeline's log for ever: no primary has it.
            return copy_afresh(source) + f" (its control file asks for timeline {asked})"
        cut_log(server, end, fork)
        return "cut"
    return "rewind"


def cut_log(server: Server, end: LogEnd, fork: wal.Fork) -> None:
    """Our own log ends at the fork."""
    border = wal.segment_of(end.file_timeline, fork.position)
    for path in list(server.wal_dir.iterdir()):
        segment = wal.parse_segment(path.name)
        if segment is None:
            continue
        if segment.number > border.number or (
            segment.number == border.number and segment.timeline > fork.timeline
        ):
            path.unlink()
        elif segment.number == border.number:
            with path.open("r+b") as file:
                file.truncate(fork.position - border.start)
                file.truncate(wal.SEGMENT_BYTES)


def save_tail(server: Server, end: LogEnd, fork: wal.Fork) -> str:
    """The records beyond the fork are kept in a directory, listed. One sentence about them."""
    name = f"timeline-{end.timeline}-from-{fork.position:X}"
    keep = server.gate_dir / "discarded" / name
    keep.mkdir(parents=True, exist_ok=True)
    border = wal.segment_of(end.timeline, fork.position)
    for path in server.wal_dir.iterdir():
        segment = wal.parse_segment(path.name)
        history = wal.parse_history_name(path.name)
        if (segment and segment.number >= border.number) or history is not None:
            shutil.copy2(path, keep / path.name)
    dump = [server.program("pg_waldump"), "-p", str(server.wal_dir), "-t", str(end.file_timeline)]
    done = run([*dump, "-s", wal.to_lsn(fork.position)], server.who, timeout_s=600)
    commits = [
        line
        for line in done.stdout.splitlines()
        if "rmgr: Transaction" in line and "desc: COMMIT" in line
    ]
    write_file(keep / "transactions.txt", "".join(f"{line}\n" for line in commits), server.who)
    for path in [keep.parent, keep, *keep.iterdir()]:
        server.who.own(path)
    return (
        f"{len(commits)} transactions after {wal.to_lsn(fork.position)} of timeline"
        f" {fork.timeline}, to {wal.to_lsn(end.position)}; saved in {keep}"
    )


def copy_afresh(source: Source) -> str:
    """Our files are a fresh copy of the source's; the old ones are kept aside, one set of them."""
    server = source.server
    fresh = server.data_dir.with_name(server.data_dir.name + ".fresh")
    aside = server.data_dir.with_name(server.data_dir.name + ".aside")
    pg_closed.remove_tree(fresh)
    fresh.mkdir(mode=0o700)
    server.who.own(fresh)
    began = time.monotonic()
    argv = [server.program("pg_basebackup"), "-D", str(fresh), "-X", "stream", "-c", "fast"]
    argv += ["--progress", "-d", source.conninfo]
    source.told.phase("base backup")
    done = run_telling(argv, server.who, source.told, timeout_s=LONG_S)
    if done.returncode != 0:
        pg_closed.remove_tree(fresh)
        raise Failed(f"pg_basebackup from {source.host} failed: {done.stderr.strip()[-300:]}")
    # Up to here the old files are as they were: a copy that fails leaves no mark of its own.
    write_file(pg_closed.rebuilding_mark(server), "a base backup did not finish\n", server.who)
    pg_closed.remove_tree(aside)
    if server.data_dir.exists():
        server.data_dir.rename(aside)
    fresh.rename(server.data_dir)
    pg_closed.rebuilding_mark(server).unlink(missing_ok=True)
    return f"base backup in {time.monotonic() - began:.1f} s"


def discarded_tails(directory: Path) -> list[str]:
    """The saved tails of one database, by name."""
    return sorted(p.name for p in directory.glob("discarded/*")) if directory.exists() else []
