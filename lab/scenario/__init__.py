"""Scenarios: what goes wrong and what must then hold, in words that two worlds understand.

`words` is the vocabulary, `language` reads a file, `play` carries a scenario out on a stage; the
real lab's stage is in `real`, the simulated one in `tests/sim/scenario.py`.
"""
