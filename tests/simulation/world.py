"""One simulated run: users with their devices, a node that may die, faults, healing, and the verdict."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from greenroom.actors.engine import EngineFell
from greenroom.actors.errors import GreenroomError
from greenroom.actors.messages import Caller, CreateGroup, InviteMembers, KickMembers, QuitGroup, RegisterUsers
from greenroom.actors.rules.ids import group_address, user_address
from greenroom.actors.wire import group_pb2, sdkws_pb2
from greenroom.persistence import settings as settings_module
from greenroom.persistence.store import UserRow
from greenroom.tests.simulation.device import PATIENCE_S, Device
from greenroom.tests.simulation.device_socket import Gone
from greenroom.tests.simulation.disk import Disk, Faults
from greenroom.tests.simulation.faults import Nemesis
from greenroom.tests.simulation.loop import Kernel
from greenroom.tests.simulation.network import Network
from greenroom.tests.simulation.node import SimulatedClock, SimulatedNode
from greenroom.tests.simulation.subscriber import SUBSCRIBER_LIMIT_S, SimulatedSubscriber
from greenroom.tests.simulation.verdict import judge_world
from greenroom.transport.load.judge import events

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from greenroom.actors.runtime.address import Address
    from greenroom.persistence.settings import Settings

__all__ = ["World"]

ADMIN = Caller("imAdmin", 10, "op", True)
HEAL_LIMIT_S = 200.0
"""Virtual seconds after the end of the faults, within which all requests must be answered."""

MANAGER_LOOKS_S = 0.1
"""How often the service manager looks whether the node has fallen, in virtual seconds."""


class World:
    """`run` returns the violations; `trace` and `history` say what happened."""

    def __init__(self, seed: int) -> None:
        self.kernel = kernel = Kernel(seed)
        self.random = random = kernel.random
        self.network = Network(kernel)
        self.loop = kernel.process("clients", self.network)
        self.disk = Disk(kernel, kernel.process("disk", self.network))
        self.clock = SimulatedClock(kernel)
        self._start_at = 0.0
        self.open_history = random.random() < 0.6
        self.settings = _settings(self)
        self.shuffled = random.random() < 0.7
        self.page = random.choice([3, 20, 100])
        self.node: SimulatedNode | None = None
        self.subscriber = SimulatedSubscriber(self.kernel)
        self.history: list[events.Event] = []
        self.violations: list[tuple[str, str]] = []
        self.healing = False
        self._last_tick = 0
        users = [f"u{number}" for number in range(random.randint(3, 5))]
        self.users = users
        self.listeners = {user for user in users if random.random() < 0.2}
        """Users who send nothing, so only marks change their read seqs."""
        self.devices = [
            Device(self, user, platform)
            for user in users
            for platform in random.sample((1, 2, 3, 5), random.choice((1, 1, 2)))
        ]
        drawn = [tuple(sorted(random.sample(users, 2))) for _ in range(2)]
        self.pairs = list(dict.fromkeys([(users[0], users[1]), *drawn]))
        sizes = [random.randint(2, len(users)) for _ in range(random.choice((1, 2)))]
        self.groups = {f"g{number}": random.sample(users, size) for number, size in enumerate(sizes)}
        """Group -> its members, as far as the world knows; the first one is the owner. The last group has the name of a
        pair, with which it shares nothing but the id of notifications that the first of them takes."""
        self.groups["_".join(self.pairs[0])] = random.sample(users, random.randint(2, len(users)))
        self.ever: dict[str, set[str]] = {group: set(members) for group, members in self.groups.items()}
        """Users who were ever invited to a group."""
        self.first: dict[str, list[str]] = {group: list(members) for group, members in self.groups.items()}

    # For devices and faults.

    def note(self, *what: Any) -> None:
        self.kernel.note(*what)

    def record(self, event: events.Event) -> None:
        self.history.append(event)

    def tick(self) -> int:
        """The time in nanoseconds; no two readings are equal."""
        self._last_tick = max(self._last_tick + 1, int(self.kernel.now * 1e9))
        return self._last_tick

    def new_id(self) -> str:
        return f"{self.random.getrandbits(128):032x}"

    def violation(self, kind: str, detail: str) -> None:
        self.note("VIOLATION", kind, detail)
        self.violations.append((kind, detail))

    async def ask(self, address: Address, command: Any) -> Any:
        """Ask an entity, as the HTTP side does. Raises the refusal, or Gone if the node dies first."""
        await asyncio.sleep(self.network.delay())
        node = self.node
        if node is None or not node.is_ready:
            raise Gone
        answer: asyncio.Future[Any] = self.loop.create_future()

        def settle(value: Any, error: BaseException | None) -> None:
            if not answer.done():
                if error is None:
                    answer.set_result(value)
                else:
                    answer.set_exception(error)

        def done(future: asyncio.Future[Any]) -> None:
            error = future.exception()
            value = None if error else future.result().value
            self.kernel.later(self.loop, self.network.delay(), settle, value, error)

        node.loop.call_soon(lambda: node.base.ask(address, command).add_done_callback(done))
        node.loop.on_kill.append(lambda: settle(None, Gone()))
        patience = self.loop.call_later(PATIENCE_S, self._unanswered, answer, command)
        try:
            return await answer
        finally:
            patience.cancel()

    def _unanswered(self, answer: asyncio.Future[Any], command: Any) -> None:
        if not answer.done():
            self.violation("never_answered", type(command).__name__)
            answer.set_exception(Gone())

    async def insist(self, address: Address, command: Any) -> Any:
        """Ask until there is a final answer."""
        while True:
            try:
                return await self.ask(address, command)
            except (Gone, GreenroomError) as error:
                if isinstance(error, GreenroomError) and not error.retryable:
                    return error
                await asyncio.sleep(0.3)

    # The node's incarnations.

    async def start_node(self) -> None:
        loop = self.kernel.process("node", self.network)
        self.node = SimulatedNode(
            self.kernel, loop, self.disk, self.clock, self.settings,
            shuffled=self.shuffled, subscribers=[self.subscriber],
        )
        self.note("node starts")
        await self.on_node(self.node, self.node.start())

    async def on_node(self, node: SimulatedNode, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine on the node's loop. Raises Gone if the node dies first."""
        done: asyncio.Future[None] = self.loop.create_future()

        def settle(error: BaseException | None) -> None:
            if not done.done():
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

        def start() -> None:
            task = node.loop.create_task(work)
            task.add_done_callback(lambda one: self.loop.call_soon(settle, one.exception()))

        node.loop.call_soon(start)
        node.loop.on_kill.append(lambda: settle(Gone()))
        await done

    def kill_node(self, *, pause_s: float = 0.0) -> None:
        """Kill the node's process. The service manager starts it again after the pause."""
        self._start_at = self.kernel.now + pause_s
        node, self.node = self.node, None
        if node is not None:
            self.note("node dies", node.fall_reason)
            self.network.stop_listening(node.loop)
            node.loop.kill()

    # The run.

    def run(self) -> list[tuple[str, str]]:
        """The violations, as (kind, detail)."""
        logging.disable(logging.CRITICAL)
        try:
            self.kernel.run(self.loop, self._run())
            judge_world(self)
            self.violations += [("unexpected", one) for one in self.kernel.troubles]
        finally:
            logging.disable(logging.NOTSET)
            self.kill_node()
            self.disk.close()
        return self.violations

    async def _run(self) -> None:
        main = asyncio.current_task()
        assert main is not None
        self._main = main
        await self._set_up()
        nemesis = Nemesis(self)
        duration = self.random.uniform(4, 8)
        self.disk.faults = nemesis.disk_faults()
        lives = [self.loop.create_task(self._live(device)) for device in self.devices]
        faults = self.loop.create_task(nemesis.rage())
        manager = self.loop.create_task(self._manage_service())
        await asyncio.sleep(duration)
        self.healing = True
        self.note("heal")
        self.disk.faults = Faults()
        self.clock.bomb = False
        await faults
        limit = self.loop.call_later(HEAL_LIMIT_S, self._does_not_heal)
        await asyncio.gather(*lives)
        await asyncio.gather(*(device.answered() for device in self.devices))
        for device in self.devices:
            device.drop()  # The next login finds the messages that were lost on the way.
        await self._settle()
        await self._probe()
        await self._settle()
        await asyncio.sleep(3)
        await self._settle()
        await asyncio.sleep(SUBSCRIBER_LIMIT_S)
        for device in self.devices:
            await device.ask_seqs()
            self.record(events.DeviceDrained(self.tick(), device.name))
        limit.cancel()
        manager.cancel()

    async def _manage_service(self) -> None:
        """Start the node again when its process has ended, or it has fallen. A fall that began during the faults may
        end seconds after them, because children get time to stop."""
        while True:
            await asyncio.sleep(MANAGER_LOOKS_S)
            if self.node is not None and self.node.fall_reason:
                self.kill_node()
            if self.node is None and self.kernel.now >= self._start_at:
                try:
                    await self.start_node()
                except Gone:
                    pass
                except EngineFell:
                    self.kill_node()

    def _does_not_heal(self) -> None:
        waiting = [(device.name, device.online, len(device.pending)) for device in self.devices]
        self.violation("does_not_heal", str(waiting))
        self._main.cancel()

    async def _settle(self) -> None:
        await asyncio.gather(*(device.settle() for device in self.devices))

    async def _set_up(self) -> None:
        await self.start_node()
        rows = [UserRow(user, user, "", "", 1, 0, 0) for user in self.users]
        await self.insist(user_address("imAdmin"), RegisterUsers(caller=ADMIN, users=rows))
        for group, (owner, *others) in self.groups.items():
            request = group_pb2.CreateGroupReq(
                ownerUserID=owner, memberUserIDs=others, groupInfo=sdkws_pb2.GroupInfo(groupType=2, groupName=group)
            )
            await self.insist(group_address(group), CreateGroup(caller=ADMIN, request=request))

    async def _live(self, device: Device) -> None:
        random = self.random
        while not self.healing:
            await device.connect()
            device.send_again()
            if device.user_id not in self.listeners:
                for _ in range(random.randint(1, 4)):
                    self._talk(device)
            match random.randrange(18):
                case 0 | 8 | 9 | 10:
                    await device.mark(random.choice(self._conversations(device)))
                case 1 | 11:
                    await device.ask_seqs()
                case 2:
                    device.drop()
                case 3 if device.socket is not None:
                    await self._read_slowly(device)
                case 4 | 5:
                    await self._change_group(device.user_id)
                case 6:
                    await device.rename()
                case 7:
                    device.drop(login=True)
            await asyncio.sleep(random.expovariate(2))

    def _conversations(self, device: Device) -> list[str]:
        user = device.user_id
        return [
            *(f"si_{one}_{other}" for one, other in self.pairs if user in (one, other)),
            *(f"sg_{group}" for group in self.groups),
        ]

    def _talk(self, device: Device) -> None:
        user, random = device.user_id, self.random
        conversation_id = random.choice(self._conversations(device))
        stored = random.random() < 0.95
        if conversation_id.startswith("sg_"):
            group = conversation_id[3:]
            if user in self.groups[group] or random.random() < 0.1:
                device.say(conversation_id, group_id=group, stored=stored)
            return
        one, other = conversation_id[3:].split("_")
        device.say(conversation_id, recv_id=other if user == one else one, stored=stored)

    async def _read_slowly(self, device: Device) -> None:
        socket = device.socket
        if socket is not None:
            socket.link.pause_reading()
            await asyncio.sleep(self.random.expovariate(1))
            socket.link.resume_reading()

    async def _change_group(self, user: str) -> None:
        """The owner invites or kicks; others quit. The outcome is read from the store at the end."""
        random = self.random
        group = random.choice(list(self.groups))
        members = self.groups[group]
        caller = Caller(user, 5, "op")
        others = [one for one in self.users if one not in members]
        if not self.open_history:
            others = [one for one in others if one not in self.ever[group]]
        command: Any
        if user != members[0]:
            if user not in members or random.random() < 0.5:
                return
            command, after = QuitGroup(caller=caller, user_id=user), [one for one in members if one != user]
        elif others and random.random() < 0.6:
            new = random.choice(others)
            self.ever[group].add(new)
            command, after = InviteMembers(caller=caller, user_ids=[new]), [*members, new]
        elif len(members) > 1:
            old = random.choice(members[1:])
            command, after = KickMembers(caller=caller, user_ids=[old]), [one for one in members if one != old]
        else:
            return
        try:
            await self.ask(group_address(group), command)
        except (Gone, GreenroomError) as error:
            self.note("no change", group, type(command).__name__, type(error).__name__)
            return
        self.groups[group] = after

    async def _probe(self) -> None:
        """Send a last message in each conversation. It must be stored, and must reach all members by itself."""
        probes: dict[str, str] = {}
        for one, other in self.pairs:
            device = next(device for device in self.devices if device.user_id == one)
            probes[f"si_{one}_{other}"] = device.say(f"si_{one}_{other}", recv_id=other)
        for group, members in self.groups.items():
            device = next(device for device in self.devices if device.user_id == members[0])
            probes[f"sg_{group}"] = device.say(f"sg_{group}", group_id=group)
        await self._settle()
        for conversation_id, client_msg_id in probes.items():
            if not self.disk.holds_message(conversation_id, client_msg_id):
                self.violation("silenced", f"{conversation_id}: the last message was refused for good")


def _settings(world: World) -> Settings:
    random = world.random
    return settings_module.load(
        environ={
            "GREENROOM_MESSAGE_IDLE_TIMEOUT_S": str(random.choice([0.2, 2, 60])),
            "GREENROOM_MESSAGE_FACTS_TTL_S": str(random.choice([0.5, 60])),
            "GREENROOM_MESSAGE_SENDS_IN_FLIGHT": str(random.choice([3, 1024])),
            "GREENROOM_MESSAGE_HISTORY_FOR_NEW_MEMBERS": "true" if world.open_history else "false",
            "GREENROOM_STORE_LANES": str(random.choice([1, 1, 3])),
            "GREENROOM_STORE_BATCH_SLICES": str(random.choice([1, 4, 512])),
            "GREENROOM_STORE_BATCH_INTERVAL_MS": str(random.choice([0, 0, 5])),
            "GREENROOM_STORE_WRITE_TIMEOUT_S": str(random.choice([1, 5])),
            "GREENROOM_WEBSOCKET_REQUESTS_IN_FLIGHT": str(random.choice([1, 3, 16])),
            "GREENROOM_WEBSOCKET_OUTBOX_LIMIT_FRAMES": str(random.choice([8, 256])),
        }
    )
