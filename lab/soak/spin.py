"""`python -m lab.soak.spin CORE SHARE PERIOD_S`: keeps one core busy for a share of each period.

Until it is killed. What it could not have because others ran, it does not make up for.
"""

import os
import sys
import time


def spin(core: int, share: float, period_s: float) -> None:
    """Busy and idle in turns, on this core alone."""
    os.sched_setaffinity(0, {core})
    began = time.monotonic()
    while True:
        busy_until = began + share * period_s
        while time.monotonic() < busy_until:
            pass
        began += period_s
        left = began - time.monotonic()
        if left > 0:
            time.sleep(left)
        else:
            began -= left


if __name__ == "__main__":
    spin(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
