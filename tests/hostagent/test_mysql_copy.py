"""A copy takes the place of a server's data by two renamings; a call may end between them."""

import getpass
from pathlib import Path

import pytest

from controller.hostagent import mysql_copy
from controller.hostagent.contract import Refused, Request
from controller.hostagent.mysql import VERBS
from controller.hostagent.mysql_server import server_of


def request(home: Path, kind: str = "mysql") -> Request:
    settings = {
        "kind": kind,
        "data_dir": str(home / "data"),
        "state_dir": str(home / "state"),
        "defaults_file": str(home / "my.cnf"),
        "socket": str(home / "s"),
        "log": str(home / "log"),
        "os_user": getpass.getuser(),
    }
    return Request("mysql-prepare", {"database": "journal"}, {"databases": {"journal": settings}})


def test_a_start_after_half_a_swap_has_the_old_data(tmp_path: Path) -> None:
    asked = request(tmp_path)
    server = server_of(asked)
    server.old_data.mkdir(parents=True)
    (server.old_data / "kept").touch()
    VERBS["mysql-prepare"](asked)
    assert (server.data_dir / "kept").is_file()
    assert not server.old_data.exists()


def test_a_start_after_a_whole_swap_has_the_copy(tmp_path: Path) -> None:
    asked = request(tmp_path)
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
