"""Rehearsals: a lab under load, cut and healed, measured from outside."""
