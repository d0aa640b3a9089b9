"""An entity that records its events, and the messages that it handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Answer, Piped

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from thespian.actors import WakeupMessage

    from greenroom.actors.runtime.address import Address

__all__ = ["Crash", "Load", "Open", "Recorder", "Say", "SayLouder", "Tick"]


class Say(msgspec.Struct, frozen=True):
    word: str
    ref: Any = None


class SayLouder(Say, frozen=True):
    """No entity has a handler for this class; the handler of its base class is used."""


class Crash(msgspec.Struct, frozen=True):
    ref: Any = None


class Load(msgspec.Struct, frozen=True):
    awaitable: Any
    eager: bool = True


class Open(msgspec.Struct, frozen=True):
    pass


class Tick(msgspec.Struct, frozen=True):
    after_s: float


class Recorder(Entity):
    """Records its events, by id, across its incarnations."""

    heard: ClassVar[dict[str, list[str]]] = {}
    life: ClassVar[dict[str, int]] = {}

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.shut = False
        self.log = self.heard.setdefault(id_, [])
        self.life[id_] = self.life.get(id_, 0) + 1
        self.sleepy = True

    def on_start(self) -> None:
        self.log.append("start")

    def on_stop(self) -> Awaitable[None] | None:
        self.log.append("stop")
        return None

    def may_sleep(self) -> bool:
        return super().may_sleep() and self.sleepy

    def receiveMsg_Say(self, message: Say, sender: Address) -> None:
        if message.word == "stay":
            self.sleepy = False
        if self.shut:
            self.stash()
            return
        self.log.append(message.word)
        self.send(sender, Answer(message.ref, self.life[self.id]))

    def receiveMsg_Crash(self, message: Crash, sender: Address) -> None:
        self.log.append("crash")
        raise ValueError("secret content")

    def receiveMsg_Load(self, message: Load, sender: Address) -> None:
        self.hold()
        self.pipe(message.awaitable, tag="load", eager=message.eager)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        self.log.append(f"{message.tag}={message.value}/{type(message.error).__name__}")
        self.release()

    def receiveMsg_Open(self, message: Open, sender: Address) -> None:
        self.shut = not self.shut
        if not self.shut:
            self.unstash()

    def receiveMsg_Tick(self, message: Tick, sender: Address) -> None:
        self.wakeupAfter(message.after_s, "tick")

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self.log.append(f"woken by {message.payload}")
