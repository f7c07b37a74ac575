"""Draws other examples again and again: python -m tests.fuzz.run --seconds 600 [TEST ...]

Ends with the first failure, whose drawn example and seed it prints; 0 when there was none.
"""

import argparse
import random
import subprocess
import sys
import time

TESTS = ("tests/fuzz", "tests/core", "tests/bgp", "tests/config")


def main() -> int:
    """The exit code of the first run that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("tests", nargs="*", default=TESTS)
    options = parser.parse_args()
    until, rounds = time.monotonic() + options.seconds, 0
    first = random.randrange(2**31) if options.seed is None else options.seed
    while rounds == 0 or time.monotonic() < until:
        seed = first + rounds
        code = _round(seed, options.tests)
        if code:
            sys.stdout.write(f"seed {seed} fails: python -m tests.fuzz.run --seed {seed}\n")
            return code
        rounds += 1
    sys.stdout.write(f"{rounds} rounds, seeds {first} to {first + rounds - 1}, no failure\n")
    return 0


def _round(seed: int, tests: list[str]) -> int:
    options = ["-q", "-x", "-m", "hypothesis", "-p", "no:cacheprovider"]
    options += ["--hypothesis-profile", "other", "--hypothesis-seed", str(seed)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
