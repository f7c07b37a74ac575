"""One foreign system each; no policy, and no adapter knows another."""
