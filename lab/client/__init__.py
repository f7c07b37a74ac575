"""The load client: what a player's program sees of the service, written down line by line."""
