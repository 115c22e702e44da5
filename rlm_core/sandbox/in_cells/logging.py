"""Loggers that print."""

from __future__ import annotations

import time
import traceback
from typing import Any

NOTSET, DEBUG, INFO, WARNING, ERROR, CRITICAL = 0, 10, 20, 30, 40, 50
WARN, FATAL = WARNING, CRITICAL
_NAMES = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "WARN": 30, "ERROR": 40, "CRITICAL": 50, "FATAL": 50}
_SHOWN = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_settings = {"format": "%(levelname)s:%(name)s:%(message)s"}


class Logger:
    def __init__(self, name: str) -> None:
        self.name, self.level, self.disabled, self.propagate = name, NOTSET, False, True
        self.handlers: list[Any] = []

    def setLevel(self, level: Any) -> None:
        self.level = _number(level)

    def getEffectiveLevel(self) -> int:
        return self.level or _loggers["root"].level

    def isEnabledFor(self, level: int) -> bool:
        return not (self.disabled or _loggers["root"].disabled) and level >= self.getEffectiveLevel()

    def log(self, level: int, message: Any, *args: Any, exc_info: Any = False, **_: Any) -> None:
        if not self.isEnabledFor(level):
            return
        text = str(message)
        if args:
            text %= args[0] if len(args) == 1 and isinstance(args[0], dict) else args
        line = {
            "message": text, "name": self.name, "levelname": _SHOWN.get(level, f"Level {level}"),
            "levelno": level, "asctime": time.strftime("%Y-%m-%d %H:%M:%S"), "module": "cell",
            "filename": "cell", "funcName": "cell", "lineno": 0, "process": 0, "threadName": "MainThread",
        }  # fmt: skip
        print(_settings["format"] % line)
        if exc_info:
            print(traceback.format_exc(), end="")

    def debug(self, message: Any, *args: Any, **options: Any) -> None:
        self.log(DEBUG, message, *args, **options)

    def info(self, message: Any, *args: Any, **options: Any) -> None:
        self.log(INFO, message, *args, **options)

    def warning(self, message: Any, *args: Any, **options: Any) -> None:
        self.log(WARNING, message, *args, **options)

    def error(self, message: Any, *args: Any, **options: Any) -> None:
        self.log(ERROR, message, *args, **options)

    def critical(self, message: Any, *args: Any, **options: Any) -> None:
        self.log(CRITICAL, message, *args, **options)

    def exception(self, message: Any, *args: Any, **options: Any) -> None:
        self.log(ERROR, message, *args, exc_info=True, **options)

    def addHandler(self, handler: Any) -> None:
        self.handlers.append(handler)

    def removeHandler(self, handler: Any) -> None:
        if handler in self.handlers:
            self.handlers.remove(handler)

    def hasHandlers(self) -> bool:
        return True


class Handler:
    """Accepted, and without effect: what is logged is printed."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.level = NOTSET

    def setLevel(self, level: Any) -> None:
        self.level = _number(level)

    def setFormatter(self, formatter: Any) -> None:
        pass


class StreamHandler(Handler):
    pass


class NullHandler(Handler):
    pass


class Formatter(Handler):
    pass


def _number(level: Any) -> int:
    return _NAMES[level.upper()] if isinstance(level, str) else int(level)


_loggers = {"root": Logger("root")}
_loggers["root"].level = WARNING


def getLogger(name: str | None = None) -> Logger:
    return _loggers.setdefault(name or "root", Logger(name or "root"))


def basicConfig(level: Any = None, format: str | None = None, **_: Any) -> None:
    if level is not None:
        _loggers["root"].setLevel(level)
    if format is not None:
        _settings["format"] = format


def disable(level: Any = CRITICAL) -> None:
    _loggers["root"].disabled = _number(level) > NOTSET


debug, info, warning = _loggers["root"].debug, _loggers["root"].info, _loggers["root"].warning
error, critical, exception = (
    _loggers["root"].error,
    _loggers["root"].critical,
    _loggers["root"].exception,
)
log = _loggers["root"].log
