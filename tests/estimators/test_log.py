from __future__ import annotations

import logging

from skspike.estimators._log import show_log

LOGGER = logging.getLogger("skspike.something")


def test_records_are_shown_inside_the_block_alone(capsys):
    with show_log(True):
        LOGGER.info("compiling the kernel")
    LOGGER.info("nobody asked")
    captured = capsys.readouterr()
    assert captured.err == "compiling the kernel\n"
    assert captured.out == ""


def test_nothing_is_shown_unless_enabled(capsys):
    with show_log(False):
        LOGGER.info("compiling the kernel")
    assert capsys.readouterr().err == ""


def test_the_logger_is_left_as_it_was():
    logger = logging.getLogger("skspike")
    before = logger.level, list(logger.handlers)
    with show_log(True):
        assert logger.isEnabledFor(logging.INFO)
    assert (logger.level, logger.handlers) == before
