"""The log: one event a line on standard output, JSON or for a console."""

import logging
import sys

import structlog

from controller.config.cluster import LogConf, LogFormat


def set_up_log(conf: LogConf, site: str) -> None:
    """Every event carries time, level and site; nothing below the configured level is written."""
    level = logging.getLevelNamesMapping()[conf.level.value.upper()]
    logging.basicConfig(stream=sys.stdout, level=max(level, logging.WARNING))
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if conf.format is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(site=site)
