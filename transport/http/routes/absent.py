"""Routes that OpenIM has and this server does not implement yet: each is answered with the error NotImplementedYet.

A row is removed from this table when its handler is added.
"""

from __future__ import annotations

from greenroom.transport.http.access import ANYONE
from greenroom.transport.http.table import absent

__all__ = ["ROUTES"]

_POSTS = (
    "/user/process_user_command_add",
    "/user/process_user_command_delete",
    "/user/process_user_command_update",
    "/user/process_user_command_get",
    "/user/process_user_command_get_all",
    "/user/add_notification_account",
    "/user/update_notification_account",
    "/user/search_notification_account",
    "/user/set_user_client_config",
    "/user/del_user_client_config",
    "/user/page_user_client_config",
    "/friend/add_friend",
    "/friend/add_friend_response",
    "/friend/delete_friend",
    "/friend/set_friend_remark",
    "/friend/update_friends",
    "/friend/add_black",
    "/friend/remove_black",
    "/friend/get_incremental_blacks",
    "/friend/import_friend",
    "/group/set_group_info",
    "/group/set_group_info_ex",
    "/group/join_group",
    "/group/group_application_response",
    "/group/transfer_group",
    "/group/set_group_member_info",
    "/group/get_groups",
    "/msg/search_msg",
    "/msg/batch_send_msg",
    "/msg/send_simple_msg",
    "/msg/send_business_notification",
    "/msg/check_msg_is_send_success",
    "/msg/revoke_msg",
    "/msg/clear_conversation_msg",
    "/msg/user_clear_all_msg",
    "/msg/delete_msgs",
    "/msg/delete_msg_phsical_by_seq",
    "/msg/delete_msg_physical",
    "/conversation/set_conversations",
    "/conversation/delete_conversations",
    "/conversation/update_conversations_by_user",
    "/third/fcm_update_token",
    "/third/set_app_badge",
    "/third/logs/upload",
    "/third/logs/delete",
    "/third/logs/search",
    "/object/part_size",
    "/object/initiate_multipart_upload",
    "/object/auth_sign",
    "/object/complete_multipart_upload",
    "/object/access_url",
    "/object/initiate_form_data",
    "/object/complete_form_data",
    "/statistics/user/register",
    "/statistics/user/active",
    "/statistics/group/create",
    "/statistics/group/active",
    "/config/get_config_list",
    "/config/get_config",
    "/config/set_config",
    "/config/reset_config",
    "/config/set_enable_config_manager",
    "/config/get_enable_config_manager",
    "/restart",
)

_GETS = ("/third/prometheus", "/prometheus_discovery/")

ROUTES = (
    *(absent(path) for path in _POSTS),
    *(absent(path, method="GET", who=ANYONE) for path in _GETS),
)
