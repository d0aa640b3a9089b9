"""Lists of a large group and of a user with many conversations: a page costs a page, and whole lists come in slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.queries.sync import id_hash
from greenroom.persistence.store import AddRecords, ChangeRecord, ChangeRow, ClaimKey, PutRows, RecordOwner, Slice
from greenroom.persistence.tables import GroupRow, MemberRow
from greenroom.tests.kit.http_kit import ADMIN_ID
from greenroom.transport.http import conversation_list

if TYPE_CHECKING:
    from greenroom.persistence.store import AnyWrite
    from greenroom.tests.kit.http_kit import HttpStage

COUNT = 3_000
SLICE_LIMIT = 1_000
"""The most rows that one read may return, and so make others wait for."""


class SizedReads:
    """The store, with a note of the largest result of any read."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.largest = 0

    def __getattr__(self, name: str) -> Any:
        read = getattr(self._store, name)

        async def noted(*asked: Any, **options: Any) -> Any:
            answer = await read(*asked, **options)
            for part in answer if isinstance(answer, tuple) else (answer,):
                if isinstance(part, list | dict):
                    self.largest = max(self.largest, len(part))
            return answer

        return noted if callable(read) else read


@pytest.fixture
async def large(http: HttpStage) -> HttpStage:
    """The group `g` has u1 as its owner, a group admin who joined last, and COUNT others; u1 has as many chats."""
    names = ["u1", *(f"m{number:04}" for number in range(COUNT)), "u2"]
    await http.engine.register(*names[1:-1])
    info = GroupRow("g", "G", owner_user_id="u1", member_count=len(names))
    key: list[AnyWrite] = [ClaimKey("group", ()), PutRows([info])]
    roles = {"u1": 100, "u2": 60}
    members = PutRows([MemberRow("g", name, role_level=roles.get(name, 20)) for name in names])
    chats: list[AnyWrite] = [AddRecords(f"si_{name}_u1", 1, "", [RecordOwner("u1", name)]) for name in names[1:]]
    chats.append(ChangeRecord("u1", "si_m0007_u1", {"is_pinned": True}))
    chats.append(ChangeRecord("u1", "si_m0009_u1", {"recv_msg_opt": 2}))
    epoch = http.store.epoch
    named = ChangeRow("member", ("g", "m1234"), {"nickname": "Anna"})
    slices = [Slice("group/g", epoch, [*key, members, named]), Slice("user/u1", epoch, chats)]
    assert await http.store.commit(slices) == [None, None]
    http.parts.store = SizedReads(http.store)
    return http


def largest(http: HttpStage) -> int:
    reads = http.parts.store
    assert isinstance(reads, SizedReads)
    return reads.largest


async def page(http: HttpStage, number: int, size: int, **more: Any) -> tuple[int, list[str]]:
    body = {"groupID": "g", "pagination": {"pageNumber": number, "showNumber": size}, **more}
    data = await http.data("/group/get_group_member_list", body)
    return data["total"], [one["userID"] for one in data["members"] or ()]


async def test_pages_of_members(large: HttpStage) -> None:
    total = COUNT + 2
    assert await page(large, 1, 3) == (total, ["u1", "u2", "m0000"])
    assert await page(large, 300, 10) == (total, [f"m{number:04}" for number in range(2988, 2998)])
    assert await page(large, 301, 10) == (total, ["m2998", "m2999"])
    assert await page(large, 302, 10) == (total, [])
    assert await page(large, 1, 0) == (total, [])
    assert await page(large, 1, 1, filter=3) == (total, ["u1"])
    refused = {"groupID": "g", "pagination": {"pageNumber": 1, "showNumber": 1}, "filter": 9}
    assert (await large.error("/group/get_group_member_list", refused))[0] == 1001
    assert largest(large) <= 10


async def test_members_by_keyword(large: HttpStage) -> None:
    assert await page(large, 1, 10, keyword="m0042") == (1, ["m0042"])
    assert await page(large, 1, 10, keyword="Anna") == (1, ["m1234"])
    assert await page(large, 1, 10, keyword="nobody") == (0, [])
    assert largest(large) <= SLICE_LIMIT


async def test_whole_lists_of_members(large: HttpStage) -> None:
    ids = ["u1", "u2", *(f"m{number:04}" for number in range(COUNT))]
    assert (await large.data("/group/get_group_member_user_id", {"groupID": "g"}))["userIDs"] == ids
    full = await large.data("/group/get_full_group_member_user_ids", {"groupID": "g", "idHash": 0})
    assert (full["equal"], full["userIDs"]) == (False, ids)
    full = await large.data("/group/get_full_group_member_user_ids", {"groupID": "g", "idHash": id_hash(ids)})
    assert (full["equal"], full["userIDs"]) == (True, None)
    (info,) = (await large.data("/group/get_group_abstract_info", {"groupIDs": ["g"]}))["groupAbstractInfos"]
    assert (info["groupMemberNumber"], info["groupMemberListHash"]) == (len(ids), id_hash(ids))
    assert largest(large) <= SLICE_LIMIT


async def test_a_large_group_wakes_in_slices(large: HttpStage, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = SizedReads(large.store)
    monkeypatch.setattr(large.engine.world, "store", reads)
    body = {"sendID": "m0001", "groupID": "g", "content": {"content": "t"}, "contentType": 101, "sessionType": 3}
    assert (await large.data("/msg/send_msg", body, user=ADMIN_ID))["serverMsgID"]
    assert 0 < reads.largest <= SLICE_LIMIT


async def test_pages_of_conversations(large: HttpStage) -> None:
    async def listed(number: int, size: int) -> tuple[int, list[str]]:
        body = {"userID": "u1", "pagination": {"pageNumber": number, "showNumber": size}}
        data = await large.data("/conversation/get_owner_conversation", body)
        return data["total"], [one["userID"] for one in data["conversations"] or ()]

    names = [f"m{number:04}" for number in range(COUNT)]
    assert await listed(1, 3) == (COUNT + 1, names[:3])
    assert await listed(300, 10) == (COUNT + 1, names[2990:])
    assert await listed(301, 10) == (COUNT + 1, ["u2"])
    assert largest(large) <= 10


async def test_whole_lists_of_conversations(large: HttpStage) -> None:
    ids = [*(f"si_m{number:04}_u1" for number in range(COUNT)), "si_u2_u1"]
    mine = {"userID": "u1", "ownerUserID": "u1"}
    full = await large.data("/conversation/get_full_conversation_ids", mine)
    assert full["conversationIDs"] == ids
    every = await large.data("/conversation/get_all_conversations", mine)
    assert [one["conversationID"] for one in every["conversations"]] == ids
    pinned = await large.data("/conversation/get_pinned_conversation_ids", mine)
    assert pinned["conversationIDs"] == ["si_m0007_u1"]
    quiet = await large.data("/conversation/get_not_notify_conversation_ids", mine)
    assert quiet["conversationIDs"] == ["si_m0009_u1"]
    asked = mine | {"conversationIDs": ["si_m0007_u1"], "returnPinned": True}
    data = await large.data("/msg/get_conversations_has_read_and_max_seq", asked)
    assert data["pinnedConversationIDs"] == ["si_m0007_u1"]
    assert largest(large) <= SLICE_LIMIT


async def test_newest_conversations_first(large: HttpStage) -> None:
    for name in ("m0100", "m2900", "u2"):
        large.engine.clock.now += 1
        await large.engine.send(large.engine.message(name, "u1", content=b'{"content":"by %b"}' % name.encode()))
    chats = ["si_m0007_u1", "si_u1_u2", "si_m2900_u1", "si_m0100_u1"]  # The first one is pinned.
    body = {"userID": "u1", "pagination": {"pageNumber": 1, "showNumber": 4}}
    data = await large.data("/conversation/get_sorted_conversation_list", body)
    assert (data["conversationTotal"], data["unreadTotal"]) == (COUNT + 2, 3)
    assert [one["conversationID"] for one in data["conversationElems"]] == chats
    contents = [one["msgInfo"] and one["msgInfo"]["content"] for one in data["conversationElems"]]
    assert contents == [None, '{"content":"by u2"}', '{"content":"by m2900"}', '{"content":"by m0100"}']
    active = await large.data("/jssdk/get_active_conversations", {"count": 2})
    assert active["unreadCount"] == 3
    assert [one["conversation"]["conversationID"] for one in active["conversations"]] == chats[1:3]
    some = await large.data("/jssdk/get_conversations", {"conversationIDs": [chats[3], "si_x_y", chats[3]]})
    assert [one["lastMsg"]["sendID"] for one in some["conversations"]] == ["m0100"]
    assert some["unreadCount"] == 1
    assert largest(large) <= SLICE_LIMIT


async def test_lists_are_cut_where_their_messages_become_too_many_bytes(
    large: HttpStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each chat may end with a message of 512 KiB: 500 of them were one answer."""
    monkeypatch.setattr(conversation_list, "_MESSAGES_LIMIT_BYTES", 5_000)
    for name in ("m0100", "m2900", "u2"):
        large.engine.clock.now += 1
        await large.engine.send(large.engine.message(name, "u1", content=b'{"content":"%b"}' % (b"x" * 2_000)))
    body = {"userID": "u1", "pagination": {"pageNumber": 1, "showNumber": 4}}
    data = await large.data("/conversation/get_sorted_conversation_list", body)
    assert (data["conversationTotal"], data["unreadTotal"]) == (COUNT + 2, 3)
    assert [one["conversationID"] for one in data["conversationElems"]] == ["si_m0007_u1", "si_u1_u2", "si_m2900_u1"]
    active = await large.data("/jssdk/get_active_conversations", {"count": 3})
    assert [one["conversation"]["conversationID"] for one in active["conversations"]] == ["si_u1_u2", "si_m2900_u1"]
    assert active["unreadCount"] == 3
