"""From what was seen to a verdict: values in, rows out. Nothing here asks anybody anything."""
