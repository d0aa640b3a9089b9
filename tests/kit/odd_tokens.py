"""Tokens with a right signature, and with claims and heads that no library makes."""

from __future__ import annotations

import base64
import hmac

__all__ = ["WRONG_HEADERS", "WRONG_PAYLOADS", "raw_token"]


def _part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).rstrip(b"=").decode()


def raw_token(payload: str, header: str = '{"alg":"HS256","typ":"JWT"}', *, secret: str) -> str:
    """A token with these texts, however wrong, and a right signature."""
    signed = f"{_part(header)}.{_part(payload)}"
    mac = hmac.digest(secret.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


DEEP = "[" * 1200 + "]" * 1200
WRONG_TIMES = ("Infinity", "-Infinity", "NaN", "1e999", "1e300", "9" * 400, "9" * 3000, '"9"', "[9]", "{}", "true")
WRONG_PAYLOADS = [
    "", "[]", "null", '"x"', "{", DEEP, "\x00",
    *(f'{{"UserID":"u1","PlatformID":5,"exp":{one}}}' for one in (*WRONG_TIMES, "null")),
    *(f'{{"UserID":"u1","PlatformID":5,"exp":9999999999,"nbf":{one}}}' for one in (*WRONG_TIMES[5:], *WRONG_TIMES[:4])
      if one[0] != "9"),
    *(f'{{"UserID":"u1","PlatformID":5,"exp":9999999999,"iat":{one}}}' for one in (*WRONG_TIMES[7:], *WRONG_TIMES[:4])),
    *(f'{{"UserID":{one},"PlatformID":5,"exp":9999999999}}'
      for one in ("1", "null", '["u1"]', "{}", "true", '"\\ud800"', '"\ud800"', DEEP)),
    *(f'{{"UserID":"u1","PlatformID":{one},"exp":9999999999}}'
      for one in ("5.0", "5.5", '"5"', "true", "[5]", "-1", "99999999999", "9" * 30, "1e999", "null", DEEP)),
    f'{{"UserID":"u1","PlatformID":5,"exp":9999999999,"more":{DEEP}}}',
    '{"PlatformID":5,"exp":9999999999}',
]  # fmt: skip
WRONG_HEADERS = [
    '{"alg":"none"}', '{"alg":"HS512"}', '{"alg":["HS256"]}', '{"alg":{}}', '{"alg":null}', '{"alg":1e999}', "{}", "[]",
    DEEP, f'{{"alg":"HS256","more":{DEEP}}}', '{"alg":"HS256","crit":["x"]}', '{"alg":"HS256","crit":[["x"]]}',
    '{"alg":"HS256","crit":5}', '{"alg":"HS256","kid":[]}', '{"alg":"HS256","b64":false}', "null", "",
]  # fmt: skip
