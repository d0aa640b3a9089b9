"""Counters for each actor class. They alarm; they never drop."""

from __future__ import annotations

import logging

import msgspec

__all__ = ["ClassStats", "Counters"]

log = logging.getLogger("greenroom.actors.runtime")


class ClassStats(msgspec.Struct, frozen=True):
    """A snapshot of one class's counters, since the base began."""

    messages: int
    crashes: int
    wakes: int
    awake: int
    sleeps: int
    unhandled: int
    mailbox_high_water: int


class Counters:
    """The live counters of one actor class."""

    __slots__ = ("alarm", "crashes", "ends", "high_water", "messages", "name", "sleeps", "unhandled", "wakes")

    def __init__(self, name: str, alarm: int) -> None:
        self.name = name
        self.alarm = alarm
        self.messages = 0
        self.crashes = 0
        self.wakes = 0
        self.ends = 0
        self.sleeps = 0
        self.unhandled = 0
        self.high_water = 0

    def rise(self, waiting: int) -> None:
        """A mailbox of this class stands higher than any did before."""
        self.high_water = waiting
        if waiting >= self.alarm:
            log.warning("mailbox alarm: %s has %d messages waiting", self.name, waiting)
            self.alarm = waiting * 2

    def snapshot(self) -> ClassStats:
        """What the counters stand at now."""
        return ClassStats(
            messages=self.messages,
            crashes=self.crashes,
            wakes=self.wakes,
            awake=self.wakes - self.ends,
            sleeps=self.sleeps,
            unhandled=self.unhandled,
            mailbox_high_water=self.high_water,
        )
