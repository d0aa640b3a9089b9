from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.messages import Caller, SetUserInfo
from greenroom.tests.kit.http_kit import ADMIN_ID, SECRET, http_stage
from greenroom.transport.http.table import MAX_BODY_BYTES

if TYPE_CHECKING:
    import httpx

    from greenroom.tests.kit.http_kit import HttpStage

TIME = "/msg/get_server_time"


async def test_missing_operation_id(http: HttpStage) -> None:
    answer = (await http.client.post(TIME, json={}, headers={"token": http.tokens["u1"]})).json()
    assert answer == {"errCode": 1001, "errMsg": "ArgsError", "errDlt": "header must have operationID"}


async def test_missing_token(http: HttpStage) -> None:
    answer = (await http.post(TIME, user=None)).json()
    assert answer == {"errCode": 1001, "errMsg": "ArgsError", "errDlt": "header must have token"}


async def test_token_that_is_none(http: HttpStage) -> None:
    answer = (await http.post(TIME, user=None, token="no-jwt")).json()
    assert (answer["errCode"], answer["errMsg"]) == (1503, "TokenMalformedError")


async def test_token_kicked(http: HttpStage) -> None:
    await http.post("/auth/force_logout", {"userID": "u1", "platformID": 1}, user=ADMIN_ID)
    assert (await http.error(TIME))[0] == 1506


async def test_token_before_routing(http: HttpStage) -> None:
    assert (await http.post("/no/such", user=None)).json()["errCode"] == 1001
    unknown = await http.post("/no/such")
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "text/plain; charset=utf-8"


async def test_open_paths_need_no_token(http: HttpStage) -> None:
    token = await http.issue("u1", 5)
    data = await http.data("/auth/parse_token", {"token": token}, user=None)
    assert data["userID"] == "u1"
    assert data["platformID"] == 5
    assert (await http.post("/auth/parse_token_of_old", user=None)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods(http: HttpStage, method: str) -> None:
    assert (await http.client.request(method, TIME)).status_code == 404


async def test_preflight(http: HttpStage) -> None:
    answer = await http.client.options("/any/path")
    assert (answer.status_code, answer.text) == (200, '"Options Request!"')


async def test_cors_and_id_on_every_answer(http: HttpStage) -> None:
    for answer in (await http.post(TIME), await http.post("/no/such"), await http.client.options("/x")):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-max-age"] == "172800"
        assert answer.headers["access-control-allow-credentials"] == "false"
        assert len(answer.headers["x-http-id"]) == 36
    assert (await http.post(TIME)).headers["content-type"] == "application/json"


async def test_health_and_openapi(http: HttpStage) -> None:
    assert (await http.client.get("/healthz")).json() == {"status": "ok"}
    assert (await http.client.get("/openapi.json")).json()["openapi"] == "3.1.0"


async def test_data_left_out_of_empty_responses(http: HttpStage) -> None:
    answer = await http.post("/user/set_global_msg_recv_opt", {"userID": "u1", "globalRecvMsgOpt": 1})
    assert answer.content == b'{"errCode":0,"errMsg":"","errDlt":""}'


async def test_keys_in_any_case_and_unknown_ones(http: HttpStage) -> None:
    body = b'{"USERIDS":["u1"],"userids":["u2"],"more":{"a":[1]}}'
    (user,) = (await http.data("/user/get_users_info", body))["usersInfo"]
    assert (user["userID"], user["ex"], user["appMangerLevel"]) == ("u2", "", 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"userIDs":"u1"}',
        b'{"userIDs":[1]}',
        b'{"userIDs":["u1"]} x',
    ],
)
async def test_body_that_does_not_bind(http: HttpStage, body: bytes) -> None:
    answer = await http.post("/user/get_users_info", body)
    assert answer.status_code == 200
    assert (answer.json()["errCode"], answer.json()["errMsg"]) == (1001, "ArgsError")


async def test_quoted_number(http: HttpStage) -> None:
    body = {"pagination": {"pageNumber": "1", "showNumber": 10}}
    assert (await http.error("/user/get_all_users_uid", body))[0] == 1001


@pytest.mark.parametrize("path", ["/user/get_users_online_status", "/msg/send_msg"])
async def test_strict_routes_answer_400(http: HttpStage, path: str) -> None:
    answer = await http.post(path, b"{", user=ADMIN_ID)
    assert answer.status_code == 400
    assert answer.json()["errCode"] == 1001


async def test_pagination(http: HttpStage) -> None:
    path = "/user/get_all_users_uid"
    assert (await http.error(path, {}))[0] == 1001
    assert (await http.error(path, {"pagination": {"pageNumber": 0, "showNumber": 5}}))[0] == 1001
    data = await http.data(path, {"pagination": {"pageNumber": 1, "showNumber": 0}})
    assert data == {"total": 4, "userIDs": None}
    data = await http.data(path, {"pagination": {"pageNumber": 2, "showNumber": 3}})
    assert (data["total"], len(data["userIDs"])) == (4, 1)


async def test_large_body_is_refused_by_content(http: HttpStage) -> None:
    body = b'{"userIDs":[' + b'"' + b"x" * 1_000_000 + b'"]'
    assert (await http.post("/user/get_users_info", body)).json()["errCode"] == 1001


async def test_body_past_the_limit_is_refused(http: HttpStage) -> None:
    body = b'{"userIDs":["u1"]}' + b" " * MAX_BODY_BYTES
    answer = (await http.post("/user/get_users_info", body)).json()
    assert (answer["errCode"], answer["errDlt"]) == (1001, f"the body is longer than {MAX_BODY_BYTES} bytes")
    assert (await http.post(TIME)).json()["errCode"] == 0


async def test_gzip_where_it_pays(http: HttpStage) -> None:
    body = {"userIDs": [f"x{number}" for number in range(100)]}
    long = await http.post("/user/get_users_status", body, **{"Accept-Encoding": "gzip"})
    assert long.headers["content-encoding"] == "gzip"
    assert len(long.json()["data"]["statusList"]) == 100
    for accepted in ("gzip;q=1.0, *;q=0", "deflate, GZIP; q=0.5", "*"):
        answer = await http.post("/user/get_users_status", body, **{"Accept-Encoding": accepted})
        assert answer.headers["content-encoding"] == "gzip", accepted
    for accepted in ("identity", "gzip;q=0", "gzip; q=0.000, *", "identity;q=1, *;q=0", "deflate;q=0.5", ""):
        plain = await http.post("/user/get_users_status", body, **{"Accept-Encoding": accepted})
        assert "content-encoding" not in plain.headers, accepted
    assert "content-encoding" not in (await http.post(TIME)).headers


async def test_unforeseen_error(http: HttpStage, caplog: pytest.LogCaptureFixture) -> None:
    http.refuse(SetUserInfo, ValueError("a secret nickname"))
    with caplog.at_level(logging.DEBUG):
        answer = await http.post("/user/update_user_info", {"userInfo": {"userID": "u1", "nickname": "N"}})
    assert answer.json() == {"errCode": 500, "errMsg": "ServerInternalError", "errDlt": ""}
    assert "ValueError in /user/update_user_info" in caplog.text
    assert "a secret nickname" not in caplog.text


async def test_many_unforeseen_errors(http: HttpStage, caplog: pytest.LogCaptureFixture) -> None:
    """A client that has found one cannot fill the log with it."""
    http.refuse(SetUserInfo, *[ValueError()] * 20)
    with caplog.at_level(logging.ERROR):
        for _ in range(20):
            answer = await http.post("/user/update_user_info", {"userInfo": {"userID": "u1", "nickname": "N"}})
            assert answer.json()["errCode"] == 500
    assert len(caplog.records) == 1


async def test_logs_hold_no_token_and_no_body(http: HttpStage, caplog: pytest.LogCaptureFixture) -> None:
    token = http.tokens["u1"]
    with caplog.at_level(logging.DEBUG):
        await http.post("/user/update_user_info", {"userInfo": {"userID": "u1", "nickname": "Nightingale"}})
        await http.post("/user/update_user_info", b'{"userInfo":{"userID":"u1","nickname":"Nightingale",}}')
        await http.post("/user/get_users_info", b'{"userIDs":"Nightingale"}')
        await http.post("/auth/get_admin_token", {"secret": SECRET, "userID": "Nightingale"}, user=None)
        await http.post(f"/no/{token}")
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    text = "\n".join(record.getMessage() + str(record.exc_text) for record in ours)
    assert token not in text
    assert "Nightingale" not in text
    assert SECRET not in text
    assert SECRET not in repr(http.parts)


async def test_requests_past_the_bound_wait() -> None:
    async with http_stage(HTTP_REQUESTS_IN_FLIGHT="2") as http:
        http.asks.go.clear()
        calls = [asyncio.create_task(http.post(TIME)) for _ in range(6)]
        while http.asks.waiting < 2:
            http.asks.begun.clear()
            await http.asks.begun.wait()
        http.asks.go.set()
        answers = await asyncio.gather(*calls)
        assert all(answer.json()["errCode"] == 0 for answer in answers)
        assert http.asks.most == 2


async def test_operation_id_goes_with_the_command(http: HttpStage) -> None:
    await http.post("/group/mute_group", {"groupID": "g"})
    assert http.asks.last.caller == Caller("u1", 1, "op-1", is_admin=False)


async def test_not_there_yet(http: HttpStage) -> None:
    answer = (await http.post("/friend/add_friend", {})).json()
    assert answer == {
        "errCode": 500,
        "errMsg": "ServerInternalError",
        "errDlt": "not implemented yet: /friend/add_friend",
    }
    assert json.loads((await http.client.get("/prometheus_discovery/api")).content)["errCode"] == 500


async def test_requests_that_wait_too_long_are_told() -> None:
    async with http_stage(HTTP_REQUESTS_IN_FLIGHT="1", OVERLOAD_PATIENCE_S="0.05") as http:
        http.asks.go.clear()
        calls = {asyncio.create_task(http.post(TIME)) for _ in range(4)}
        refused: set[asyncio.Task[httpx.Response]] = set()
        while len(refused) < 3:
            done, calls = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        assert [(each.result().status_code, each.result().json()["errCode"]) for each in refused] == [(503, 500)] * 3
        assert (await http.client.get("/healthz")).status_code == 200
        http.asks.go.set()
        assert (await calls.pop()).json()["errCode"] == 0
        assert (await http.post(TIME)).status_code == 200


@pytest.mark.parametrize("path", ["/auth/get_admin_token", "/greenroom/status"])
async def test_request_without_a_secret_is_no_guess(http: HttpStage, path: str) -> None:
    """However many there are: the next wrong one is the address's first."""
    for body in ({}, {"secret": ""}) * 5:
        assert (await http.error(path, {"userID": "Nightingale", **body}, user=None))[0] in (1001, 1002)
    assert http.engine.world.health.wrong_secrets == 0
    wrong = {"secret": "wrong", "userID": "Nightingale"}
    assert await http.error(path, wrong, user=None) == (1002, "NoPermissionError")
    assert http.engine.world.health.wrong_secrets == 1


async def test_body_that_is_no_json_is_called_the_body(http: HttpStage) -> None:
    details = [(await http.post("/group/mute_group", body)).json()["errDlt"] for body in (b"{", b"[]", b"3")]
    assert [detail.partition(":")[0] for detail in details] == ["the body"] * 3
