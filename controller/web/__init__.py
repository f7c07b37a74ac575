"""What the daemon answers over HTTP and its unix socket."""
