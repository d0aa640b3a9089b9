"""JWTs: made, parsed, and refused with the protocol's codes."""

from __future__ import annotations

import contextlib
import json
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors.errors import TokenExpired, TokenMalformed, TokenNotValidYet, TokenUnknown
from greenroom.actors.rules.tokens import Authenticator
from greenroom.tests.kit.engine_kit import ManualClock
from greenroom.tests.kit.odd_tokens import WRONG_HEADERS, WRONG_PAYLOADS, raw_token

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


@pytest.mark.parametrize("payload", WRONG_PAYLOADS, ids=range(len(WRONG_PAYLOADS)))
def test_malformed_payload(auth: Authenticator, payload: str) -> None:
    with pytest.raises(TokenMalformed):
        auth.parse(raw_token(payload, secret=SECRET))


@pytest.mark.parametrize("header", WRONG_HEADERS, ids=range(len(WRONG_HEADERS)))
def test_malformed_header(auth: Authenticator, header: str) -> None:
    with pytest.raises((TokenMalformed, TokenUnknown)):
        auth.parse(raw_token('{"UserID":"u1","PlatformID":5,"exp":9999999999}', header, secret=SECRET))


@pytest.mark.parametrize("token", ["\udcff.a.b", "a" * 5000, "a." * 5000, "." * 10_000_000])
def test_odd_text(auth: Authenticator, token: str) -> None:
    with pytest.raises(TokenMalformed):
        auth.parse(token)


def test_times_may_be_fractions(auth: Authenticator, clock: ManualClock) -> None:
    now = clock.now // 1000
    payload = f'{{"UserID":"u1","PlatformID":5,"exp":{now + 9}.5,"nbf":{now - 9}.5,"iat":null,"more":[1,{{}}]}}'
    assert auth.parse(raw_token(payload, secret=SECRET)).expire_at == now + 9


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)


@given(st.recursive(SCALARS, st.lists, max_leaves=9))
def test_any_claims(value: object) -> None:
    """Each claim in turn has a value of any type: a token is parsed, or refused with a token's error."""
    auth = Authenticator(secret=SECRET, expire_days=90, clock=ManualClock())
    for name in ("UserID", "PlatformID", "exp", "nbf", "iat", "more"):
        claims = {"UserID": "u1", "PlatformID": 5, "exp": 9_999_999_999, name: value}
        with contextlib.suppress(TokenMalformed, TokenUnknown, TokenNotValidYet, TokenExpired):
            auth.parse(raw_token(json.dumps(claims), secret=SECRET))


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
