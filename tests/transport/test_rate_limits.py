from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from greenroom.actors.errors import TooManyRequests
from greenroom.actors.health import Health
from greenroom.actors.wire import group_pb2, sdkws_pb2
from greenroom.persistence.settings import load
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.http.table import listed
from greenroom.transport.rate_limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

PEER = ("192.0.2.1", 4711)
USERS_WRITES = {
    "/group/cancel_mute_group": "change",
    "/group/cancel_mute_group_member": "change",
    "/group/create_group": "change",
    "/group/dismiss_group": "change",
    "/group/invite_user_to_group": "change",
    "/group/kick_group": "change",
    "/group/mute_group": "change",
    "/group/mute_group_member": "change",
    "/group/quit_group": "change",
    "/msg/mark_conversation_as_read": "send",
    "/msg/mark_msgs_as_read": "send",
    "/msg/set_conversation_has_read_seq": "send",
    "/user/set_global_msg_recv_opt": "change",
    "/user/update_user_info": "change",
    "/user/update_user_info_ex": "change",
}


class Stage:
    def __init__(self, **values: Any) -> None:
        self.now = 1000.0
        self.health = Health()
        settings = load(environ={}, overrides={"limits": values}).limits
        self.limits = Limits(settings, self.health, lambda: self.now)
        self.client = self.limits.client(PEER)

    def admitted(self, check: Callable[[], None], tries: int) -> int:
        return sum(self.wait(check) == 0 for _ in range(tries))

    def wait(self, check: Callable[[], None]) -> float:
        """How long the refusal says to wait; 0 without one."""
        try:
            check()
        except TooManyRequests as refusal:
            return refusal.retry_after_s
        return 0.0


def test_defaults_admit_a_person_and_stop_a_script() -> None:
    """A minute of each."""
    stage = Stage()
    checks = {
        (lambda: stage.limits.check_send("alice", 5000)): (5, 200),
        (lambda: stage.limits.check_change("alice", 5000)): (1, 50),
        (lambda: stage.limits.check_anonymous(stage.client)): (5, 200),
    }
    for check, (by_hand, by_script) in checks.items():
        for rate, is_script in ((by_hand, False), (by_script, True)):
            admitted = 0
            for _ in range(60):
                stage.now += 1
                admitted += stage.admitted(check, rate)
            assert (admitted < 60 * rate) is is_script
            assert admitted < 60 * rate or not is_script


PICTURE_BYTES = 6_000
"""An SDK's message of a picture: the URLs and sizes of three versions, in JSON and base64."""
LARGEST_BYTES = 512 * 1024


def test_large_messages_count_more() -> None:
    """As many pictures as texts are sent; of the largest messages a few, and the first of all at any size."""
    stage = Stage()
    assert stage.admitted(lambda: stage.limits.check_send("texts", 300), 1000) == 600
    assert stage.admitted(lambda: stage.limits.check_send("pictures", PICTURE_BYTES), 1000) == 600
    assert stage.admitted(lambda: stage.limits.check_send("script", LARGEST_BYTES), 500) == 9
    stage.now += 60
    assert stage.admitted(lambda: stage.limits.check_send("script", LARGEST_BYTES), 500) == 9
    strict = Stage(sends_burst=1)
    assert strict.admitted(lambda: strict.limits.check_send("a", LARGEST_BYTES), 2) == 1
    strict.now += 64 / 20
    assert strict.admitted(lambda: strict.limits.check_send("a", LARGEST_BYTES), 2) == 0
    strict.now += 1 / 20
    assert strict.admitted(lambda: strict.limits.check_send("a", LARGEST_BYTES), 2) == 1


def test_changes_of_many_rows_count_more() -> None:
    stage = Stage()

    def create(members: int) -> None:
        stage.limits.check_change("alice", 15 * members)
        stage.limits.charge_rows("alice", members)

    assert stage.admitted(lambda: create(1000), 100) == 6
    # Each has paid 2 tokens at the door and then 20, so the debt is 12.
    assert stage.wait(lambda: create(1000)) == pytest.approx(7.0)
    stage.now += 66.0
    assert stage.admitted(lambda: create(1000), 100) == 6
    stage.now += 3600
    assert stage.admitted(lambda: create(30), 1000) == 120


def test_refusals_are_counted_and_logged_as_samples(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(sends_burst=1, changes_burst=1, anonymous_burst=1)
    for _ in range(5):
        stage.admitted(lambda: stage.limits.check_send("alice", 0), 2)
        stage.admitted(lambda: stage.limits.check_change("alice", 0), 3)
        stage.admitted(lambda: stage.limits.check_anonymous(stage.client), 4)
    health = stage.health
    assert (health.sends_limited, health.changes_limited, health.anonymous_limited) == (9, 14, 19)
    assert [record.getMessage() for record in caplog.records] == [
        "more sends than limits.sends_per_s allows: 1 refused (1 of user 'alice')",
        "more changes than limits.changes_per_s allows: 1 refused (1 of user 'alice')",
        "more requests without a valid token than limits.anonymous_per_s allows: 1 refused (1 of 192.0.2.1)",
    ]


def test_log_blames_nobody_for_the_refusals_of_others(caplog: pytest.LogCaptureFixture) -> None:
    """Each refusal is in one line, under its own user: those since the last line, and at the stop the rest."""
    stage = Stage(sends_burst=1)
    for user, tries in (("alice", 24), ("bob", 4), ("carol", 3), ("dave", 2), ("erin", 2)):
        stage.admitted(lambda user=user: stage.limits.check_send(user, 100), tries)  # type: ignore[misc]
    stage.now += 10
    stage.admitted(lambda: stage.limits.check_send("bob", 100), 13)
    for number in range(3_000):
        stage.admitted(lambda number=number: stage.limits.check_send(f"u{number}", 100), 2)  # type: ignore[misc]
    stage.limits.log_rest()
    stage.limits.log_rest()
    texts = [record.getMessage() for record in caplog.records]
    assert [text.partition(": ")[2] for text in texts] == [
        "1 refused (1 of user 'alice')",
        "30 refused (22 of user 'alice', 4 of user 'bob', 2 of user 'carol', 2 of others)",
        "3,011 refused (11 of user 'bob', 1 of user 'u0', 1 of user 'u1', 2,998 of others)",
    ]
    assert stage.health.sends_limited == 1 + 30 + 3_011


def test_exempt_loopback(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(anonymous_burst=1)
    local = stage.limits.client(("127.0.0.1", 1))
    assert stage.limits.exempts(local)
    assert not stage.limits.exempts(stage.client)
    assert stage.admitted(lambda: stage.limits.check_anonymous(local), 50) == 50
    assert not caplog.records
    # Behind a proxy that the settings do not name: its users have limits, and the log says what to do.
    proxied = [stage.limits.client(("127.0.0.1", 1), "192.0.2.9") for _ in range(3)]
    assert not any(map(stage.limits.exempts, proxied))
    assert stage.admitted(lambda: stage.limits.check_anonymous(proxied[0]), 50) == 50
    assert ["limits.trusted_proxies" in record.getMessage() for record in caplog.records] == [True]
    strict = Stage(exempt_loopback=False, anonymous_burst=3)
    local = strict.limits.client(("127.0.0.1", 1))
    assert not strict.limits.exempts(local)
    assert strict.admitted(lambda: strict.limits.check_anonymous(local), 50) == 3


def test_wrong_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """The wait of the guesser's address grows up to a bound; another address never waits."""
    stage = Stage()
    other = stage.limits.client(("192.0.2.2", 1))
    waits = []
    for number in range(200):
        stage.limits.check_guess(stage.client)
        stage.limits.note_guess(stage.client, is_right=False)
        waits.append(stage.wait(lambda: stage.limits.check_guess(stage.client)))
        stage.now += waits[-1]
        stage.limits.check_guess(other)
        if number % 50 == 0:
            stage.limits.note_guess(other, is_right=True)
    assert waits[:11] == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert max(waits) == 60
    assert stage.health.wrong_secrets == 200
    assert [record.getMessage() for record in caplog.records[:2]] == [
        "wrong admin secrets: 1 refused (1 of 192.0.2.1); 192.0.2.1 has now sent 1",
        "wrong admin secrets: 7 refused (7 of 192.0.2.1); 192.0.2.1 has now sent 8, and has to wait 16 s",
    ]
    assert 100 < len(caplog.records) < 200


def test_right_secret_ends_the_wait_of_its_address() -> None:
    stage = Stage()
    for _ in range(4):
        stage.limits.note_guess(stage.client, is_right=False)
    with pytest.raises(TooManyRequests):
        stage.limits.check_guess(stage.client)
    stage.now += 1
    stage.limits.check_guess(stage.client)
    stage.limits.note_guess(stage.client, is_right=True)
    stage.limits.note_guess(stage.client, is_right=False)
    stage.limits.check_guess(stage.client)
    stage.now += 600
    for _ in range(3):
        stage.limits.note_guess(stage.client, is_right=False)
        stage.limits.check_guess(stage.client)


def test_guessers_are_bounded() -> None:
    stage = Stage()
    for number in range(10_500):
        client = stage.limits.client((f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1))
        stage.limits.note_guess(client, is_right=False)
    assert len(stage.limits._guesses) == 10_000


def test_rows_of_a_change_are_the_elements_of_its_lists() -> None:
    """Whatever its lists are called, so that a new row is counted before anyone thinks of it."""
    info = sdkws_pb2.GroupInfo(groupName="g")
    create = group_pb2.CreateGroupReq(memberUserIDs=["a", "b"], adminUserIDs=["c"], ownerUserID="d", groupInfo=info)
    assert listed(create) == 3
    assert listed(group_pb2.KickGroupMemberReq(groupID="g", kickedUserIDs=["a"] * 1000)) == 1000
    assert listed(group_pb2.QuitGroupReq(groupID="g")) == 0
    assert listed(_Body(["x", "y"], {"z": 1})) == 2


class _Body(msgspec.Struct):
    ids: list[str]
    other: dict[str, int]


def test_calls_of_users_count_by_what_they_do() -> None:
    """Each row that a user may call and that is no read counts; a new row is a change, unless someone decides."""
    writes = {
        route.path: route.kind
        for route in ROUTES
        if route.kind != "read" and route.method == "POST" and route.who.kind in ("token", "owner")
        if route.handler is not None
    }
    assert writes == USERS_WRITES
