"""A page of a large group costs as much as a page of a small one, by the CPU time of the node's process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.tests.kit.node_kit import SECRET
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess

COUNT = 3_000
CALLS = 60


def cpu_s(node: NodeProcess) -> float:
    """CPU time of all threads of the node's process so far."""
    assert node.process is not None
    threads = Path(f"/proc/{node.process.pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


async def test_page_of_a_large_group_costs_a_page(node: NodeProcess) -> None:
    names = [f"user{number:04}" for number in range(COUNT)]
    async with Api(node.api_url) as api:
        admin = await api.admin_token(SECRET)
        for start in range(0, COUNT, 1_000):
            await api.register(*names[start : start + 1_000], admin_token=admin)
        await api.create_group(names[0], names[1:20], name="small", token=admin, group_id="small")
        await api.create_group(names[0], names[1:1_000], name="large", token=admin, group_id="large")
        for start in range(1_000, COUNT, 1_000):
            invited = {"groupID": "large", "invitedUserIDs": names[start : start + 1_000]}
            await api.call("/group/invite_user_to_group", invited, admin)

        async def pages(group_id: str, number: int) -> float:
            """CPU time of some calls, each of which has ten members in its answer."""
            body = {"groupID": group_id, "pagination": {"pageNumber": number, "showNumber": 10}}
            before = cpu_s(node)
            for _ in range(CALLS):
                data = await api.call("/group/get_group_member_list", body, admin)
                assert len(data["members"]) == 10
            return cpu_s(node) - before

        whole = await api.call("/group/get_group_member_user_id", {"groupID": "large"}, admin)
        assert whole == {"userIDs": names}
        await pages("small", 1)
        small = await pages("small", 1)
        for number in (1, COUNT // 10):
            assert await pages("large", number) < 3 * small
