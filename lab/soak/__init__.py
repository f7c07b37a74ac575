"""Soaks: one lab that stays up for long, with faults that are drawn, or with nothing but load.

`catalogue` says which acts of the vocabulary are drawn, `draw` makes phases of them (a seed in,
scenarios out), `run` plays them one after the other. `calm` looks for what must not happen at rest.
"""
