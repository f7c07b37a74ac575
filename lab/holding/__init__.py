"""Ways to let clients wait while a service moves, measured side by side (`lab bench-hold`)."""
