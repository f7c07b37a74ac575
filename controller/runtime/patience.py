"""How long a turn waits for what it looks at."""

from controller.core.guards import lease_durability
from controller.core.view import View


def while_leased_s(patience_s: float, seen: View | None, lease_left_s: float) -> float:
    """No look outlasts the lease that this site held when it looked last: a store that does not
    answer must not keep it from noticing that its time is over.
    """
    if seen is None or not lease_durability(seen) or seen.own.lease_left_s <= 0:
        return patience_s
    return max(0.0, min(patience_s, lease_left_s))
