"""The host agent: the few things only a process on the database's own host can do.

It is started for one verb, over ssh with a forced command or by the service manager, prints one
JSON object and ends. Standard library only, so that a bare host can run it.
"""
