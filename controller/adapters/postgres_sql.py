"""The statements that change a PostgreSQL server, as text.

Whatever comes from outside goes through `literal`: these statements take no parameters. Files of
the gate are written by the server itself with COPY, which needs no agent, works in recovery, and
keeps the mode of a file that is there.
"""
# ruff: noqa: S608

from collections.abc import Iterable
from typing import Final

from controller.adapters.postgres_link import literal
from controller.adapters.postgres_spec import NOBODY
from controller.hostagent import wal

RELOAD: Final = "select pg_reload_conf()"
RECEIVERS: Final = "select count(*) from pg_stat_activity where backend_type = 'walreceiver'"
PROMOTE: Final = "select pg_promote(false)"
# The server waits by itself for a while: to ask it over and over takes the processor from it.
PROMOTED: Final = """
do $wait$
declare ends timestamptz := clock_timestamp() + interval '250 milliseconds';
begin
    while pg_is_in_recovery() and clock_timestamp() < ends loop
        perform pg_sleep(0.002);
    end loop;
end $wait$;
select case when pg_is_in_recovery() then null
    else pg_walfile_name(pg_current_wal_lsn()) end
"""
CANARY: Final = """
insert into tricast.canary (site, token, at) values ($1, $2, clock_timestamp())
on conflict (site) do update set token = excluded.token, at = excluded.at
"""
# The list of voters itself stays as it stands in the server's own file.
COMMIT_ALONE: Final = "alter system set synchronous_standby_names = ''"
COMMIT_BY_QUORUM: Final = "alter system reset synchronous_standby_names"
CLOCK: Final = "select clock_timestamp()"
LOADED_SINCE: Final = "select pg_conf_load_time() >= $1::timestamptz"


def write_list(gate_dir: str, name: str, roles: Iterable[str]) -> str:
    """The gate's list `name` lets in exactly `roles`."""
    lines = ", ".join(literal(role) for role in (NOBODY, *sorted(roles)))
    return f"copy (select unnest(array[{lines}])) to {literal(f'{gate_dir}/{name}')}"


def use_pass(gate_dir: str, kind: str | None) -> str:
    """The receiver logs in with the password of `kind`; with none it cannot log in anywhere."""
    target = literal(f"{gate_dir}/upstream.pgpass")
    if kind is None:
        return f"copy (select where false) to {target}"
    source = literal(f"{gate_dir}/{kind}.pgpass")
    return f"copy (select trim(trailing E'\\n' from pg_read_file({source}))) to {target}"


def set_parameter(name: str, value: str) -> str:
    """The server's own parameter, kept over restarts; needs a reload."""
    return f"alter system set {name} = {literal(value)}"


def plant(timelines: Iterable[int], epoch: int) -> str:
    """Each of `timelines` has a history file in the log directory, which names no parent.

    The number is taken, and that is all: a standby does not take for its target what is no child
    of its own timeline. A planted file that named a parent could be believed between two
    statements; the new timeline's history would then name a timeline of which no log exists, and
    no follower that begins below it would be served.
    """
    names = ", ".join(literal(wal.history_name(t)) for t in timelines)
    text = literal(f"# planted for epoch {epoch}: no log of this timeline is known here")
    return f"""
do $plant$
declare name text;
begin
    foreach name in array array[{names}]::text[] loop
        execute format('copy (select %L) to %L', {text},
            current_setting('data_directory') || '/pg_wal/' || name);
    end loop;
end $plant$
"""


def cut_walsenders(pids: Iterable[int]) -> str:
    """These replication connections end."""
    return f"select pg_terminate_backend(p) from unnest(array[{_ints(pids)}]::int[]) as p"


def cut_clients(roles: Iterable[str]) -> str:
    """Every session of these roles ends; how many there were."""
    names = ", ".join(literal(role) for role in roles)
    return f"""
select count(pg_terminate_backend(pid)) from pg_stat_activity
where usename = any(array[{names}]::text[]) and backend_type = 'client backend'
"""


def keep_slot(name: str) -> str:
    """A replication slot `name` that still has its log."""
    slot = literal(name)
    return f"""
do $slot$
begin
    if exists (select from pg_replication_slots
               where slot_name = {slot} and wal_status = 'lost' and not active) then
        perform pg_drop_replication_slot({slot});
    end if;
    if not exists (select from pg_replication_slots where slot_name = {slot}) then
        perform pg_create_physical_replication_slot({slot}, true);
    end if;
end $slot$
"""


def _ints(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)


DROP_SLOTS: Final = """
select pg_drop_replication_slot(slot_name) from pg_replication_slots
where slot_type = 'physical' and not active and not temporary
"""
