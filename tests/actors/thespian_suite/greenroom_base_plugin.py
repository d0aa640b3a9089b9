"""A pytest plugin for the subprocess only: Thespian's "simpleSystemBase" is our base from here on."""

from __future__ import annotations

import thespian.system.simpleSystemBase as simple

from greenroom.actors.runtime.thespian.system_base import ActorSystemBase

simple.ActorSystemBase = ActorSystemBase
