"""`lab heal`."""

import argparse
from functools import partial

from lab.netns.lab import Lab
from lab.verbs._progress import Progress
from lab.verbs._scope import add_scope, direction_of, scope_of

HELP = "undo cuts: lab heal [SITE] (without a site: all of them), same options as cut"
add_arguments = partial(add_scope)


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """What was named is whole again."""
    progress = Progress()
    if options.link:
        await lab.heal_link(*options.link)
    elif options.between:
        await lab.join(*options.between)
    else:
        await lab.heal(options.site, scope_of(options), direction_of(options))
    left = lab.cuts.current()
    for drop in left:
        progress(f"still there: {drop}")
    progress("healed" if left else "nothing is cut")
    return 0
