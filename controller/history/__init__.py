"""What each site saw of a role change, and what they say of it together. Decides nothing."""
