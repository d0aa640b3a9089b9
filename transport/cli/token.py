"""`greenroom token`: makes a token over the node's HTTP API, with the node's own secret."""

from __future__ import annotations

from greenroom.persistence.settings import Settings
from greenroom.transport.cli.options import secret_for
from greenroom.transport.cli.reaching import reaching
from greenroom.transport.cli.urls import api_url
from greenroom.transport.client.api import Api

__all__ = ["admin_token", "make_token"]


async def admin_token(api: Api, settings: Settings) -> str:
    """A token of the node's first admin. Raises CommandFailed."""
    secret = secret_for(settings)
    admin = settings.auth.admin_user_ids[0] if settings.auth.admin_user_ids else "imAdmin"
    with reaching(api_url(settings)):
        return await api.admin_token(secret, user_id=admin)


async def make_token(settings: Settings, user_id: str, *, platform_id: int, register: bool) -> str:
    """A new token for a user. With `register`, the user is registered first if missing."""
    async with Api(api_url(settings)) as api:
        admin = await admin_token(api, settings)
        if register:
            await api.register(user_id, admin_token=admin, missing_only=True)
        return await api.user_token(user_id, platform_id=platform_id, admin_token=admin)
