"""The audit log: hash-chained entries, one chain a site. Pure: no file, clock or store here."""
