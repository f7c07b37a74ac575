"""The lab: three sites on one machine, from one containerlab topology file."""
