"""The shape of JSON at the edge, once, so that no `dict[str, Any]` wanders inside."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
else:
    # Decoders build themselves from annotations at run time, and a type that contains itself is beyond them.
    JSON = Any

JSONObject: TypeAlias = dict[str, JSON]
