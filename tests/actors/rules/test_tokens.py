"""JWTs: made, parsed, and refused with the protocol's codes."""

from __future__ import annotations

import time

import jwt
import pytest

from greenroom.actors.errors import TokenExpired, TokenMalformed, TokenNotValidYet, TokenUnknown
from greenroom.actors.rules.tokens import Authenticator
from greenroom.tests.kit.engine_kit import ManualClock

SECRET = "a secret of the tests that has 32 bytes"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def auth(clock: ManualClock) -> Authenticator:
    return Authenticator(secret=SECRET, expire_days=90, clock=clock)


def test_round_trip(auth: Authenticator) -> None:
    token, claims = auth.make("u1", 5)
    assert auth.parse(token) == claims
    assert (claims.user_id, claims.platform_id) == ("u1", 5)


def test_another_library_reads_it(auth: Authenticator, clock: ManualClock) -> None:
    clock.now = time.time_ns() // 1_000_000
    token, _ = auth.make("u1", 5)
    payload = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert payload["UserID"] == "u1"
    assert payload["exp"] - payload["iat"] == 90 * 86400 + 5


def test_expires(auth: Authenticator, clock: ManualClock) -> None:
    token, _ = auth.make("u1", 5)
    auth.parse(token)
    clock.now += 91 * 86_400_000
    with pytest.raises(TokenExpired):
        auth.parse(token)


def _signed(clock: ManualClock, secret: str = SECRET, **claims: object) -> str:
    now = clock.now // 1000
    payload = {"UserID": "u1", "PlatformID": 5, "exp": now + 100, "iat": now, **claims}
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret, algorithm="HS256")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b", "é.é.é", "." * 100])
def test_what_is_no_jwt(auth: Authenticator, token: str) -> None:
    with pytest.raises(TokenMalformed):
        auth.parse(token)


def test_refused_claims(auth: Authenticator, clock: ManualClock) -> None:
    now = clock.now // 1000
    for token, error in [
        (_signed(clock, secret="another secret of at least 32 bytes"), TokenUnknown),
        (_signed(clock, nbf=now + 50), TokenNotValidYet),
        (_signed(clock, iat=now + 50), TokenUnknown),
        (_signed(clock, UserID=None), TokenMalformed),
        (_signed(clock, PlatformID="5"), TokenMalformed),
        (_signed(clock, exp=None), TokenMalformed),
        (
            jwt.encode({"UserID": "u1", "PlatformID": 5, "exp": now + 9}, key=None, algorithm="none"),
            TokenUnknown,
        ),
    ]:
        with pytest.raises(error):
            auth.parse(token)
