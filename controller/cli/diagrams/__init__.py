"""Diagrams of the rules and the ladders, drawn from the tables as SVG for light and dark pages."""
