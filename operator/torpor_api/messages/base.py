"""What every message is, and how requests and events are found by their names."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Base of everything on the control channel."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    # Unknown fields are passed over: components of two releases talk during an upgrade. The channel
    # does so in the parts of resources, too, which are strict where a person has written them.


class Done(Message):
    """The answer where there is nothing to say."""


ReplyT = TypeVar("ReplyT", bound=Message)


class Request(Message, Generic[ReplyT]):
    """A question; ``reply`` is the type of its answer."""

    reply: ClassVar[type[Message]]
    by_name: ClassVar[dict[str, type[Request[Any]]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "[" not in cls.__name__:
            Request.by_name[cls.__name__] = cls


class Event(Message):
    """Something told, not asked."""

    by_name: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Event.by_name[cls.__name__] = cls
