"""A command about 1,000 members does not hold the loop."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.rules.limits import LIST_LIMIT
from greenroom.actors.wire.vocabulary import GroupType
from greenroom.tests.kit.attack_range import TURN_LIMIT_S, attack_range
from greenroom.tests.kit.node_kit import SECRET
from greenroom.tests.kit.wire_kit import Device
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from pathlib import Path

IDS = [f"{number:04d}{'x' * 60}" for number in range(1 + LIST_LIMIT)]
"""An owner, and as many users as a request may name, with the longest ids."""
NICKNAME = "<" * 60
ONLINE = 10


@pytest.mark.ci
@pytest.mark.timeout(60)
async def test_longest_turn_of_a_thousand_members(tmp_path: Path) -> None:
    groups = 0
    async with attack_range(tmp_path, furnished=False) as scene, AsyncExitStack() as stack:
        node = scene.node
        api = await stack.enter_async_context(Api(node.api_url, timeout_s=30))
        admin = await api.admin_token(SECRET)
        for ids in (IDS[:1], IDS[1:]):
            users = [{"userID": user_id, "nickname": NICKNAME} for user_id in ids]
            await api.call("/user/user_register", {"users": users}, admin)
        for user_id in IDS[:ONLINE]:
            token = await api.user_token(user_id, admin_token=admin)
            await stack.enter_async_context(await Device.open(node, user_id, token))

        async def create(members: list[str]) -> None:
            nonlocal groups
            groups += 1
            info = {"groupID": f"g{groups}", "groupType": GroupType.WORKING}
            body = {"ownerUserID": IDS[0], "memberUserIDs": members, "groupInfo": info}
            await api.call("/group/create_group", body, admin)

        async def create_with_all() -> None:
            await create(IDS[1:])

        async def invite_and_kick_all() -> None:
            group_id = f"g{groups}"
            await api.call("/group/invite_user_to_group", {"groupID": group_id, "invitedUserIDs": IDS[1:]}, admin)
            await api.call("/group/kick_group", {"groupID": group_id, "kickedUserIDs": IDS[1:]}, admin)

        async def page() -> None:
            body = {"groupID": "g1", "pagination": {"pageNumber": 1, "showNumber": 1000}}
            members = (await api.call("/group/get_group_member_list", body, admin))["members"]
            assert len(members) == 1000

        assert await scene.longest_turn_of(create_with_all) <= TURN_LIMIT_S
        assert await scene.longest_turn_of(page) <= TURN_LIMIT_S
        await create([])
        assert await scene.longest_turn_of(invite_and_kick_all) <= TURN_LIMIT_S
