"""Observe, decide, act, note: the only place where the loop turns."""
