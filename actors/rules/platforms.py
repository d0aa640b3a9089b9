"""Platforms, their classes, and which connections and tokens a login policy kicks (PROTOCOL 1.8, 8.3, 8.5)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from greenroom.actors.wire.vocabulary import LoginPolicy, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

__all__ = ["NAMES", "kicked_by_login", "kicked_by_token"]

NAMES = {
    1: "IOS", 2: "Android", 3: "Windows", 4: "OSX", 5: "Web", 6: "MiniWeb", 7: "Linux", 8: "APad", 9: "IPad",
    10: "Admin", 11: "HarmonyOS",
}  # fmt: skip

_CLASS = {
    Platform.IOS: "Mobile", Platform.ANDROID: "Mobile", Platform.WINDOWS: "PC", Platform.OSX: "PC",
    Platform.LINUX: "PC", Platform.ANDROID_PAD: "Pad", Platform.IPAD: "Pad",
}  # fmt: skip

T = TypeVar("T")


def _class(platform_id: int) -> str:
    return _CLASS.get(platform_id, NAMES.get(platform_id, str(platform_id)))


def kicked_by_login(policy: int, platform_id: int, others: Sequence[tuple[int, T]]) -> list[T]:
    """The user's other connections that a new one on `platform_id` kicks.

    `others` are pairs of platform and connection. They include only connections of other tokens, because a token never
    kicks itself.
    """
    if policy == LoginPolicy.ONE_PER_PLATFORM:
        return [one for platform, one in others if platform == platform_id]
    if policy == LoginPolicy.ONE_A_CLASS:
        return [one for platform, one in others if _class(platform) == _class(platform_id)]
    if policy == LoginPolicy.PC_AND_OTHER and _class(platform_id) != "PC":
        return [one for platform, one in others if _class(platform) != "PC"]
    return []


def kicked_by_token(policy: int, platform_id: int, tokens: Sequence[tuple[int, T]], *, limit: int) -> list[T]:
    """The user's normal tokens that a new one on `platform_id` kicks. `tokens` are pairs of platform and token, oldest
    first.

    `limit` is the number of tokens that a platform may have under policy 0, the new one included. When a policy keeps
    one of several tokens, it keeps the newest. The policies do not apply to admin tokens.
    """
    ordinary = [(platform, one) for platform, one in tokens if platform != Platform.ADMIN]
    if policy == LoginPolicy.NO_KICK:
        same = [one for platform, one in ordinary if platform == platform_id]
        return same[: max(0, len(same) - (limit - 1))]
    if policy == LoginPolicy.ONE_PER_PLATFORM:
        return _all_but_newest(ordinary, own=platform_id, group=lambda platform: platform)
    if policy == LoginPolicy.ONE_A_CLASS:
        return _all_but_newest(ordinary, own=_class(platform_id), group=_class)
    if policy == LoginPolicy.PC_AND_OTHER:
        phones = [(platform, one) for platform, one in ordinary if _class(platform) != "PC"]
        if _class(platform_id) != "PC":
            return [one for _, one in phones]
        keep = next((i for i in reversed(range(len(phones))) if phones[i][0] == Platform.ANDROID), len(phones) - 1)
        return [one for i, (_, one) in enumerate(phones) if i != keep]
    return []


def _all_but_newest(tokens: Sequence[tuple[int, T]], *, own: Hashable, group: Callable[[int], Hashable]) -> list[T]:
    """All tokens of the group `own`, and all but the newest of every other group."""
    groups: dict[Hashable, list[T]] = defaultdict(list)
    for platform, one in tokens:
        groups[group(platform)].append(one)
    return [one for name, ones in groups.items() for one in (ones if name == own else ones[:-1])]
