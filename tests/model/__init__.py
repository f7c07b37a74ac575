"""The commit quorum, explored exhaustively within bounds: `python -m tests.model --help`."""
