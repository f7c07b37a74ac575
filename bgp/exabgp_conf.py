"""ExaBGP's own configuration and environment, rendered from a `BgpSpec`.

What must hold, and why (each pinned in tests/foreign):

* ExaBGP remembers no route (`adj-rib-out false`, no route refresh): one that was frozen and thaws
  must not bring back what its site announced before. The speaker says everything on each `up`.
* ExaBGP ends when it cannot write to the speaker (`api_terminate`): otherwise its sessions stop
  for good while it lives on. Its supervisor starts it again.
* Graceful restart is never negotiated: a dead speaker's routes must not outlive their session.
* Updates received are not passed on: a provider may send the whole Internet.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from bgp.spec import BadSpec, BgpSpec, NeighborSpec

PROCESS: Final = "speaker"
_WORD: Final = re.compile(r"[A-Za-z0-9_./:=@%+,-]+", re.ASCII)
_PASSWORD: Final = re.compile(r"[A-Za-z0-9_.:=@%+,/!?~^*-]{1,80}", re.ASCII)


def render(spec: BgpSpec, run: Sequence[str], passwords: Mapping[str, str] | None = None) -> str:
    """The text of exabgp.conf. `run` starts the speaker; `passwords` are by neighbor address.

    With a password in it the file must be readable by ExaBGP's user only.
    """
    if not run or not run[0].startswith("/"):
        raise BadSpec(f"the speaker must be started by an absolute path, not {' '.join(run)!r}")
    for word in run:
        if not _WORD.fullmatch(word):
            raise BadSpec(f"ExaBGP would not pass {word!r} on as one argument")
    passwords = passwords or {}
    sections = [_process(run), *(_neighbor(spec, n, passwords) for n in spec.neighbors)]
    return "\n".join(sections)


def environment(user: str = "root") -> dict[str, str]:
    """ExaBGP's settings. Started as root, it and the speaker go on as `user`."""
    return {
        "exabgp_api_ack": "true",
        "exabgp_api_cli": "false",
        "exabgp_api_encoder": "json",
        "exabgp_api_respawn": "true",
        "exabgp_api_terminate": "true",
        "exabgp_daemon_daemonize": "false",
        "exabgp_daemon_drop": "true",
        "exabgp_daemon_user": user,
        "exabgp_log_destination": "stdout",
        "exabgp_log_level": "INFO",
        "exabgp_log_short": "false",
        "exabgp_log_statistics": "false",
        "exabgp_tcp_attempts": "0",
    }


def render_environment(user: str = "root") -> str:
    """`environment` as lines for systemd's EnvironmentFile or a shell's `set -a`."""
    return "".join(f"{key}={value}\n" for key, value in environment(user).items())


def _process(run: Sequence[str]) -> str:
    return f"process {PROCESS} {{\n    run {' '.join(run)};\n    encoder json;\n}}\n"


def _neighbor(spec: BgpSpec, neighbor: NeighborSpec, passwords: Mapping[str, str]) -> str:
    optional = [f"    host-name {spec.host_name};"] if spec.host_name else []
    if neighbor.password_file is not None and neighbor.address not in passwords:
        raise BadSpec(f"neighbor {neighbor.address}: its password was not read")
    if neighbor.address in passwords:
        password = passwords[neighbor.address]
        if not _PASSWORD.fullmatch(password):
            raise BadSpec(
                f"neighbor {neighbor.address}: its password must be 1 to 80 characters of"
                " letters, digits and _.:=@%+,/!?~^*-"
            )
        optional.append(f'    md5-password "{password}";')
    lines = [
        f"neighbor {neighbor.address} {{",
        f"    router-id {spec.router_id};",
        f"    local-address {neighbor.local_address};",
        f"    local-as {spec.policy.local_as};",
        f"    peer-as {neighbor.remote_as};",
        f"    hold-time {neighbor.hold_s};",
        *optional,
        "    adj-rib-out false;",
        "    group-updates false;",
        "    manual-eor false;",
        f"    family {{ {neighbor.family} unicast; }}",
        "    capability { route-refresh disable; }",
        "    api {",
        f"        processes [ {PROCESS} ];",
        "        neighbor-changes;",
        "        receive { parsed; notification; }",
        "        send { parsed; update; }",
        "    }",
        "}",
        "",
    ]
    return "\n".join(lines)
