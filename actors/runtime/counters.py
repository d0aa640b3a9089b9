"""Counters for each actor class. They log an alarm for a long mailbox; they never drop a message."""

from __future__ import annotations

import logging

import msgspec

__all__ = ["ClassStats", "Counters"]

log = logging.getLogger("greenroom.actors.runtime")


class ClassStats(msgspec.Struct, frozen=True):
    """A snapshot of one class's counters, which count from the start of the base."""

    messages: int
    crashes: int
    wakes: int
    awake: int
    sleeps: int
    unhandled: int
    mailbox_high_water: int


class Counters:
    """The current counters of one actor class."""

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

    def note_high_water(self, waiting: int) -> None:
        """Note that a mailbox of this class is longer than any mailbox before."""
        self.high_water = waiting
        if waiting >= self.alarm:
            log.warning("mailbox alarm: %s has %d messages waiting", self.name, waiting)
            self.alarm = waiting * 2

    def snapshot(self) -> ClassStats:
        """The counters as they are now."""
        return ClassStats(
            messages=self.messages,
            crashes=self.crashes,
            wakes=self.wakes,
            awake=self.wakes - self.ends,
            sleeps=self.sleeps,
            unhandled=self.unhandled,
            mailbox_high_water=self.high_water,
        )
