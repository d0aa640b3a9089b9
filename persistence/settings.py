"""Settings: a TOML file over the packaged `settings.toml`, then environment variables over both.

Every key, with its unit, default and reason, stands in `settings.toml`; here are only its types.
"""

from __future__ import annotations

import msgspec

__all__ = ["AuthSettings", "HttpSettings", "MessageSettings", "NodeSettings", "Settings", "StoreSettings", "WebSocketSettings"]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class NodeSettings(_Section):
    host: str
    ws_port: int
    api_port: int
    data_dir: str
    drain_timeout_s: float
    log_level: str
    log_format: str


class AuthSettings(_Section):
    secret: str
    """Empty: made at the first start and kept in the data directory."""
    admin_user_ids: tuple[str, ...]
    token_expire_days: int
    multi_login_policy: int
    max_tokens_per_platform: int


class WebSocketSettings(_Section):
    max_connections: int
    max_frame_bytes: int
    max_unfolded_bytes: int
    requests_in_flight: int
    outbox_limit_frames: int
    outbox_limit_bytes: int
    handshake_timeout_s: float
    read_timeout_s: float
    write_timeout_s: float
    ping_interval_s: float
    watched_users_limit: int


class HttpSettings(_Section):
    max_body_bytes: int
    requests_in_flight: int


class MessageSettings(_Section):
    friend_verify: bool
    history_for_new_members: bool
    sends_in_flight: int
    """Unanswered sends a conversation takes."""
    mark_seqs_limit: int
    facts_ttl_s: float
    idle_timeout_s: float


class StoreSettings(_Section):
    writer: str
    lanes: int
    batch_slices: int
    batch_interval_ms: float
    write_timeout_s: float


class Settings(_Section):
    node: NodeSettings
    auth: AuthSettings
    websocket: WebSocketSettings
    http: HttpSettings
    message: MessageSettings
    store: StoreSettings
