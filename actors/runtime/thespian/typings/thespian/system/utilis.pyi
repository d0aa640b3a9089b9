from collections.abc import Callable
from typing import Any

from thespian.actors import Actor

def actualActorClass(actorClass: Any, sourceHashLoader: Callable[[str, str], Any] | None = None) -> type[Actor]: ...

class withPossibleInitArgs:
    def __init__(self, **kw: Any) -> None: ...
    def create(self, klass: type[Actor]) -> Actor: ...
