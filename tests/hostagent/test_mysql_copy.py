"""A copy takes the place of a server's data by two renamings; a call may end between them."""

import getpass
from dataclasses import replace
from pathlib import Path

import pytest

from controller.hostagent import mysql_copy, mysql_fetch, mysql_serve
from controller.hostagent.contract import Refused, Request
from controller.hostagent.mysql import VERBS
from controller.hostagent.mysql_server import server_of


def request(home: Path, kind: str = "mysql", **more: str) -> Request:
    settings = {
        "kind": kind,
        "data_dir": str(home / "data"),
        "state_dir": str(home / "state"),
        "defaults_file": str(home / "my.cnf"),
        "socket": str(home / "s"),
        "log": str(home / "log"),
        "os_user": getpass.getuser(),
        **more,
    }
    return Request("mysql-prepare", {"database": "journal"}, {"databases": {"journal": settings}})


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_a_start_after_half_a_swap_has_the_old_data(tmp_path: Path, kind: str) -> None:
    asked = request(tmp_path, kind)
    server = server_of(asked)
    server.old_data.mkdir(parents=True)
    (server.old_data / "kept").touch()
    VERBS["mysql-prepare"](asked)
    assert (server.data_dir / "kept").is_file()
    assert not server.old_data.exists()


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_a_start_after_a_whole_swap_has_the_copy(tmp_path: Path, kind: str) -> None:
    asked = request(tmp_path, kind)
    server = server_of(asked)
    server.old_data.mkdir(parents=True)
    server.data_dir.mkdir()
    (server.data_dir / "fresh").touch()
    VERBS["mysql-prepare"](asked)
    assert (server.data_dir / "fresh").is_file()


def test_what_is_no_whole_copy_is_not_put_in_place(tmp_path: Path) -> None:
    asked = request(tmp_path)
    server = server_of(asked)
    server.state_dir.mkdir()
    server.data_dir.mkdir()
    server.fresh_data.mkdir(parents=True)
    with pytest.raises(Refused, match="no whole copy"):
        mysql_copy.adopt(asked)
    assert server.data_dir.is_dir()


def test_a_copy_that_does_not_say_it_is_whole_or_is_another_is_not_put_in_place(
    tmp_path: Path,
) -> None:
    asked = replace(
        request(tmp_path, "mariadb"),
        args={"database": "journal", "source": "dc2", "epoch": "3"},
    )
    server = server_of(asked)
    server.state_dir.mkdir()
    server.data_dir.mkdir()
    server.fresh_data.mkdir(parents=True)
    with pytest.raises(Refused, match="no whole copy"):
        mysql_copy.adopt(asked)
    server.whole_copy.write_text('{"source": "dc2", "epoch": "2", "state": "0-2-7"}')
    with pytest.raises(Refused, match=r"is of .*'epoch': '2'.* not .*'epoch': '3'"):
        mysql_copy.adopt(asked)
    assert server.data_dir.is_dir()


def test_only_a_running_mariadb_is_replaced_by_what_is_fetched(tmp_path: Path) -> None:
    args = {"database": "journal", "source": "dc2", "epoch": "3", "within_s": "5"}
    asked = replace(request(tmp_path, "mariadb"), args=args)
    server = server_of(asked)
    server.fresh_data.mkdir(parents=True)
    with pytest.raises(Refused, match="does not run"):
        mysql_fetch.fetch(asked)
    with pytest.raises(Refused, match="only MariaDB"):
        mysql_fetch.fetch(replace(request(tmp_path), args=args))
    with pytest.raises(Refused, match="nothing to copy"):
        mysql_serve.serve(asked)
    without = request(tmp_path, "mariadb", backup="no-such-backup")
    with pytest.raises(Refused, match="no program no-such-backup here: install mariadb-backup"):
        mysql_fetch.fetch(replace(without, args=args))
    assert server.fresh_data.is_dir()


@pytest.mark.parametrize(
    ("before", "position", "state"),
    [
        ("0-1-5,0-2-9", "0-2-11", "0-1-5,0-2-11"),
        ("0-2-9,0-1-5", "0-1-5", "0-2-9,0-1-5"),  # the newest last, in each domain
        ("0-1-5", "0-2-6", "0-1-5,0-2-6"),
        ("0-1-5,1-1-3,1-2-4", "0-1-7,1-2-4", "1-1-3,0-1-7,1-2-4"),
    ],
)
def test_the_state_at_a_position(before: str, position: str, state: str) -> None:
    assert mysql_fetch.state_at(before, position) == state


def test_only_a_running_mysql_fetches_a_copy(tmp_path: Path) -> None:
    asked = request(tmp_path)
    server_of(asked).state_dir.mkdir()
    with pytest.raises(Refused, match="does not run"):
        mysql_copy.room(asked)
    with pytest.raises(Refused, match="only MySQL copies itself"):
        mysql_copy.room(request(tmp_path, "mariadb"))


def test_a_stale_lock_of_the_socket_is_gone_before_a_start(tmp_path: Path) -> None:
    lock = tmp_path / "s.lock"
    lock.write_text("1\n")
    VERBS["mysql-prepare"](request(tmp_path))
    assert not lock.exists()
