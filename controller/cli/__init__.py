"""The runbook: one verb a file."""
