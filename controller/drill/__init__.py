"""Rehearsing a failover: when it may begin, what it has shown, when the next is due. Pure."""
