"""Which words of a dump thread mean that its replica is being sent the log."""

import pytest

from controller.adapters.mysql_report import streams


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("Master has sent all binlog to slave; waiting for more updates", True),
        ("Source has sent all binlog to replica; waiting for more updates", True),
        ("Sending binlog event to slave", True),
        ("Writing to net", True),  # one look in a thousand of a loaded primary
        ("starting", False),
        ("", False),
    ],
)
def test_a_replica_that_is_sent_the_log_streams(state: str, expected: bool) -> None:
    assert streams(state) is expected
