"""A client that syncs: 1001, then 1002 over all its conversations, as OpenIM's SDK does after an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from websockets.asyncio.client import connect

from greenroom.actors.wire import sdkws_pb2
from greenroom.tests.bench.window import Window, say
from greenroom.transport.envelope.codec import Request, codec

if TYPE_CHECKING:
    from greenroom.tests.bench.lean_client import LeanClient

__all__ = ["sync"]

_PLATFORM = 2


async def sync(job: dict[str, Any]) -> None:
    """`rounds` times; each conversation gives its newest message, `at_once` conversations a request. `all`: ask for
    all of them; otherwise only for the first `at_once`."""
    user_id = job["user"]
    query = urlencode(
        {
            "sendID": user_id, "token": job["token"], "platformID": _PLATFORM, "operationID": "op-sync",
            "isBackground": "false", "sdkType": "go", "compression": "gzip",
        }
    )  # fmt: skip
    envelope = codec("go", True)
    nobody: list[LeanClient] = []
    window: Window | None = None
    received = 0
    async with connect(f"ws://127.0.0.1:{job['port']}/?{query}", max_size=None, compression=None) as link:

        async def ask(number: int, data: bytes) -> bytes:
            nonlocal received
            request = Request(
                req_identifier=number, send_id=user_id, operation_id="op-sync", msg_incr="1", data=data
            )
            await link.send(envelope.encode_request(request))
            frame = await link.recv()
            assert isinstance(frame, bytes)
            received += len(frame)
            answer = envelope.decode_response(frame)
            assert (answer.req_identifier, answer.err_code) == (number, 0), answer
            return answer.data or b""

        for turn in range(job["rounds"] + 1):
            if turn == 1:  # The first round only warms the store's pages.
                window, received = Window(job["pid"], nobody), 0
            newest = await ask(1001, sdkws_pb2.GetMaxSeqReq(userID=user_id).SerializeToString())
            seqs = sdkws_pb2.GetMaxSeqResp.FromString(newest).maxSeqs
            ids = sorted(seqs)
            assert len(ids) == job["conversations"], len(ids)
            for start in range(0, len(ids) if job["all"] else 1, job["at_once"]):
                some = ids[start : start + job["at_once"]]
                asked = sdkws_pb2.PullMessageBySeqsReq(
                    userID=user_id,
                    seqRanges=[sdkws_pb2.SeqRange(conversationID=one, begin=0, end=seqs[one], num=1) for one in some],
                )
                data = await ask(1002, asked.SerializeToString())
                got = sdkws_pb2.PullMessageBySeqsResp.FromString(data).msgs
                assert all([one.seq for one in got[each].Msgs] == [seqs[each]] for each in some)
        assert window is not None
        say({**window.close(), "bytes": received / job["rounds"]})
