"""`lab cut`."""

import argparse
from functools import partial

from lab.netns.lab import Lab
from lab.verbs._progress import Progress
from lab.verbs._scope import add_scope, direction_of, require_site, scope_of

HELP = (
    "drop packets silently: lab cut SITE [--silent|--wan|--internet] | --link A B | --between A B"
)
add_arguments = partial(add_scope)


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """What was named is cut."""
    progress = Progress()
    if options.link:
        await lab.cut_link(*options.link)
    elif options.between:
        await lab.part(*options.between)
    else:
        await lab.cut(require_site(options), scope_of(options), direction_of(options))
    for drop in lab.cuts.current():
        progress(str(drop))
    return 0
