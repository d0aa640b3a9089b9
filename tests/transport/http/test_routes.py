from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.http_kit import ADMIN_ID, http_stage
from greenroom.transport.http.openapi import describe
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.http.routes.absent import ROUTES as ABSENT

if TYPE_CHECKING:
    from greenroom.tests.kit.http_kit import HttpStage
    from greenroom.transport.http.table import Route

_AUTH = "get_admin_token get_user_token parse_token force_logout"
_USER = (
    "user_register update_user_info update_user_info_ex set_global_msg_recv_opt get_users_info "
    "get_all_users_uid account_check get_users get_users_online_status get_users_online_token_detail "
    "subscribe_users_status "
    "get_users_status get_subscribe_users_status process_user_command_add process_user_command_delete "
    "process_user_command_update process_user_command_get process_user_command_get_all "
    "add_notification_account update_notification_account search_notification_account get_user_client_config "
    "set_user_client_config del_user_client_config page_user_client_config"
)
_FRIEND = (
    "add_friend add_friend_response delete_friend get_friend_apply_list get_self_friend_apply_list "
    "get_designated_friend_apply get_self_unhandled_apply_count get_friend_list get_designated_friends "
    "set_friend_remark update_friends add_black remove_black get_black_list get_specified_blacks "
    "get_incremental_blacks import_friend is_friend get_friend_id get_specified_friends_info "
    "get_incremental_friends get_full_friend_user_ids"
)
_GROUP = (
    "create_group set_group_info set_group_info_ex join_group quit_group group_application_response "
    "transfer_group get_recv_group_applicationList get_user_req_group_applicationList "
    "get_group_users_req_application_list get_specified_user_group_request_info "
    "get_group_application_unhandled_count get_groups_info kick_group get_group_members_info "
    "get_group_member_list invite_user_to_group get_joined_group_list dismiss_group mute_group_member "
    "cancel_mute_group_member mute_group cancel_mute_group set_group_member_info get_group_abstract_info "
    "get_groups get_group_member_user_id get_incremental_join_groups get_incremental_group_members "
    "get_incremental_group_members_batch get_full_group_member_user_ids get_full_join_group_ids"
)
_MSG = (
    "newest_seq pull_msg_by_seq search_msg send_msg batch_send_msg send_simple_msg "
    "send_business_notification check_msg_is_send_success revoke_msg mark_msgs_as_read "
    "mark_conversation_as_read "
    "get_conversations_has_read_and_max_seq set_conversation_has_read_seq clear_conversation_msg "
    "user_clear_all_msg delete_msgs delete_msg_phsical_by_seq delete_msg_physical get_server_time"
)
_CONVERSATION = (
    "get_sorted_conversation_list get_all_conversations get_conversation get_conversations set_conversations "
    "get_full_conversation_ids get_incremental_conversations get_owner_conversation "
    "get_not_notify_conversation_ids get_pinned_conversation_ids delete_conversations "
    "update_conversations_by_user"
)
_THIRD = "fcm_update_token set_app_badge logs/upload logs/delete logs/search"
_OBJECT = (
    "part_limit part_size initiate_multipart_upload auth_sign complete_multipart_upload access_url "
    "initiate_form_data complete_form_data"
)
_STATISTICS = "user/register user/active group/create group/active"
_CONFIG = (
    "get_config_list get_config set_config reset_config set_enable_config_manager get_enable_config_manager"
)
PROTOCOL = {
    f"/{service}/{name}"
    for service, names in {
        "auth": _AUTH, "user": _USER, "friend": _FRIEND, "group": _GROUP, "msg": _MSG,
        "conversation": _CONVERSATION, "third": _THIRD, "object": _OBJECT, "statistics": _STATISTICS,
        "config": _CONFIG, "jssdk": "get_conversations get_active_conversations",
    }.items()
    for name in names.split()
} | {"/restart"}  # fmt: skip
"""The POST rows of PROTOCOL 2.4."""


OWN = {"/greenroom/status"}
GETS = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/third/prometheus", "/object/", "/prometheus_discovery/"}
POSTS = [route for route in ROUTES if route.method == "POST"]


def test_every_route_of_the_protocol() -> None:
    assert {route.path for route in POSTS} == PROTOCOL | OWN
    assert {route.path for route in ROUTES if route.method == "GET"} == GETS
    assert len(POSTS) + len(GETS) == len(ROUTES)


async def test_each_path_answers(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever an empty body is answered with, it is an envelope, and nothing has crashed."""
    async with http_stage() as http:
        with caplog.at_level(logging.ERROR):
            for route in POSTS:
                answer = await http.post(route.path, {}, user=ADMIN_ID)
                envelope = answer.json()
                assert {"errCode", "errMsg", "errDlt"} <= set(envelope), route.path
        assert not [record for record in caplog.records if record.name == "greenroom.http"]


async def test_absent_route_is_no_success(http: HttpStage) -> None:
    for route in ABSENT:
        path = f"{route.path}x" if route.path.endswith("/") else route.path
        answer = await (http.post(path) if route.method == "POST" else http.client.get(path))
        envelope = answer.json()
        assert envelope["errCode"] == 500
        assert route.path in envelope["errDlt"]


def test_openapi_of_every_path() -> None:
    document = json.loads(json.dumps(describe(ROUTES)))
    assert set(document["paths"]) == PROTOCOL | OWN | GETS
    schemas = document["components"]["schemas"]
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    ex = schemas["openim.sdkws.UserInfoWithEx"]["properties"]["ex"]
    assert ex == {"type": ["string", "null"]}


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if "$ref" in node else []
        return found + [one for value in node.values() for one in _references(value)]
    if isinstance(node, list):
        return [one for value in node for one in _references(value)]
    return []


_ADMIN_BODIES = {
    "/auth/get_user_token": {"userID": "u1", "platformID": 1},
    "/auth/force_logout": {"userID": "u1", "platformID": 1},
    "/user/user_register": {"users": [{"userID": "u9", "nickname": "n"}]},
    "/user/account_check": {"checkUserIDs": ["u1"]},
    "/user/get_users_online_status": {"userIDs": ["u1"]},
    "/user/get_users_online_token_detail": {"userIDs": ["u1"]},
    "/msg/send_msg": {"sendID": "u1", "content": {"content": "t"}, "contentType": 101, "sessionType": 1},
}


def test_admin_routes_are_these() -> None:
    assert {route.path for route in ROUTES if route.who.kind == "admin"} == set(_ADMIN_BODIES)


@pytest.mark.parametrize(("path", "body"), _ADMIN_BODIES.items())
async def test_admin_route_refuses_others(http: HttpStage, path: str, body: dict[str, object]) -> None:
    assert await http.error(path, body) == (1002, "NoPermissionError")
    assert http.asks.asked == []


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.who.kind == "owner"],
    ids=lambda route: route.path,
)
async def test_owner_route_refuses_others(http: HttpStage, route: Route) -> None:
    """A body that names somebody else and holds what the row needs is refused before its handler."""
    body: dict[str, object] = {}
    for path in (*route.who.fields, *route.required):
        top, _, nested = path.partition(".")
        if nested:
            body[top] = {nested: "u2"}
        elif top in ("groupInfo", "userInfo"):
            body.setdefault(top, {})
        elif top in ("userIDs", "userIDList", "friendUserIDs", "conversationIDs"):
            body[top] = ["x"]
        elif top == "seqs":
            body[top] = [1]
        else:
            body[top] = "u2"
    if route.paged:
        body["pagination"] = {"pageNumber": 1, "showNumber": 10}
    assert (await http.error(route.path, body))[0] == 1002
    assert http.asks.asked == []
