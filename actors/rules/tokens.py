"""Makes and parses tokens (JWTs) (PROTOCOL 8.1). The User actor keeps their state."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, NamedTuple

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from greenroom.actors.errors import TokenExpired, TokenMalformed, TokenNotValidYet, TokenUnknown

if TYPE_CHECKING:
    from greenroom.actors.ports import Clock

__all__ = ["Authenticator", "Claims", "digest_of"]

_CLAIMS_LIMIT = 50_000
"""Maximum number of cached claims. Each takes about 400 bytes."""
_TOKEN_LIMIT = 4096
"""Maximum number of characters. A token has about 200, and the user's id once in base64."""
_SECONDS_LIMIT = 2**53
"""Times of a token are below it; clients' numbers are exact up to here."""


def digest_of(token: str) -> bytes:
    """The digest that is stored instead of a token: 16 bytes of BLAKE2b."""
    return hashlib.blake2b(token.encode(), digest_size=16).digest()


class _Hmac(HMACAlgorithm):
    """HS256 without a check of the key's length. `persistence.secret` does that check, because it knows where short
    keys are allowed."""

    def check_key_length(self, key: bytes) -> None:
        return None

    def prepare_key(self, key: str | bytes) -> bytes:
        """Return the key unchanged. `Authenticator` prepares it once, not for each token."""
        assert isinstance(key, bytes)
        return key


class Claims(NamedTuple):
    user_id: str
    platform_id: int
    expire_at: int
    """Seconds since the epoch."""
    digest: bytes


class _Payload(msgspec.Struct):
    """The claims as they are signed. Others are ignored."""

    UserID: str
    PlatformID: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    exp: int | float
    nbf: int | float | None = None
    iat: int | float | None = None


_decode_payload = msgspec.json.Decoder(_Payload).decode
"""Raises ValueError, RecursionError."""


class Authenticator:
    """Makes and parses tokens with the shared secret (HS256). The claims of parsed tokens are cached by digest."""

    def __init__(self, *, secret: str, expire_days: int, clock: Clock) -> None:
        self._key = HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        self._clock = clock
        self._jws = jwt.PyJWS(algorithms=[])
        self._jws.register_algorithm("HS256", _Hmac(_Hmac.SHA256))
        self._parsed: OrderedDict[bytes, Claims] = OrderedDict()
        self.expire_seconds = expire_days * 86_400

    def make(self, user_id: str, platform_id: int) -> tuple[str, Claims]:
        """Make a token, and return it with its claims. Two tokens for one user and platform within one second are
        equal."""
        now = self._clock.now_ms() // 1000
        expire_at = now + self.expire_seconds
        payload = {"UserID": user_id, "PlatformID": platform_id, "exp": expire_at, "iat": now - 5}
        token = self._jws.encode(json.dumps(payload).encode(), self._key, algorithm="HS256")
        claims = Claims(user_id, platform_id, expire_at, digest_of(token))
        self._remember(claims)  # The token will soon be used, and parsing it would give the same claims.
        return token, claims

    def parse(self, token: str) -> Claims:
        """Check the signature, times and form of a token, and return its claims. Does not check whether it was kicked.

        Raises TokenMalformed, TokenExpired, TokenNotValidYet, TokenUnknown.
        """
        if len(token) > _TOKEN_LIMIT or not token.isascii():
            raise TokenMalformed
        digest = digest_of(token)
        claims = self._parsed.get(digest)
        if claims is None:
            claims = self._decode(token, digest)
            self._remember(claims)
        if claims.expire_at <= self._clock.now_ms() // 1000:
            raise TokenExpired
        return claims

    def _remember(self, claims: Claims) -> None:
        self._parsed[claims.digest] = claims
        if len(self._parsed) > _CLAIMS_LIMIT:
            self._parsed.popitem(last=False)

    def _decode(self, token: str, digest: bytes) -> Claims:
        # Times are checked here, because the library would use the machine's clock instead of ours.
        now = self._clock.now_ms() / 1000
        try:
            payload = _decode_payload(self._jws.decode(token, self._key, algorithms=["HS256"]))
        except jwt.InvalidSignatureError as error:
            raise TokenUnknown from error
        except jwt.InvalidAlgorithmError as error:
            raise TokenUnknown from error
        except jwt.DecodeError as error:
            raise TokenMalformed from error
        except jwt.PyJWTError as error:
            raise TokenUnknown from error
        except (ValueError, RecursionError) as error:  # Anyone can send a head that is nested too deeply.
            raise TokenMalformed from error
        if not -_SECONDS_LIMIT < payload.exp < _SECONDS_LIMIT:
            raise TokenMalformed
        if payload.nbf is not None and payload.nbf > now:
            raise TokenNotValidYet
        if payload.iat is not None and payload.iat > now:
            raise TokenUnknown
        return Claims(payload.UserID, payload.PlatformID, int(payload.exp), digest)
