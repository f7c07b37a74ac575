"""Which links of a site: the options that `cut` and `heal` share."""

import argparse

from lab.netns.error import LabError
from lab.netns.topology import Direction, Scope


def add_scope(parser: argparse.ArgumentParser) -> None:
    """The options are known to `parser`."""
    parser.add_argument("site", nargs="?", help="dc1, dc2 or witness")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        "--silent", action="store_true", help="all links of the site, Internet and WAN (default)"
    )
    scope.add_argument("--wan", action="store_true", help="only the private WAN")
    scope.add_argument("--internet", action="store_true", help="only the link to the provider")
    scope.add_argument("--link", nargs=2, metavar=("A", "B"), help="the link between two nodes")
    scope.add_argument(
        "--between", nargs=2, metavar=("SITE", "SITE"), help="the WAN between two sites only"
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--inbound-only", action="store_true", help="only what the site receives")
    way.add_argument("--outbound-only", action="store_true", help="only what the site sends")


def scope_of(options: argparse.Namespace) -> Scope:
    """Which links were asked for."""
    if options.wan:
        return Scope.WAN
    return Scope.INTERNET if options.internet else Scope.ALL


def direction_of(options: argparse.Namespace) -> Direction:
    """Which direction was asked for."""
    if options.inbound_only:
        return Direction.INBOUND
    return Direction.OUTBOUND if options.outbound_only else Direction.BOTH


def require_site(options: argparse.Namespace) -> str:
    """The site that was named."""
    if options.site is None:
        raise LabError("say which site: dc1, dc2 or witness (or use --link or --between)")
    return str(options.site)
