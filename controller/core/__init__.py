"""Deciding code: values in, values out. No clock, socket, dice or log."""
