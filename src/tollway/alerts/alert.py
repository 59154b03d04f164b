"""An alert: a threshold that was passed, as it is kept and told."""

from typing import Literal

import msgspec

from tollway.jsontypes import JSONObject

Mail = Literal["none", "due", "sent", "failed"]
"""none: no mail was wanted. failed: given up."""
MAIL_DELAYS_S: tuple[int, ...] = (60, 300, 1_800, 7_200, 21_600)
"""Seconds to wait after each failed try to hand a mail over; after the last one it is given up."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `/v1/alerts`.

    kind: a type of event. subject: what it is about, such as one budget of one key. threshold: percent, or nano-USD of a
    balance. window_start: unix seconds. data: as in the event. cleared_at: unix seconds at which a balance or a storage
    was on the other side again, None: not yet, or not of this kind.
    """

    id: str
    workspace_id: str
    kind: str
    subject: str
    threshold: int
    window_start: int
    data: JSONObject
    mail: Mail
    mail_tries: int
    created_at_ms: int
    cleared_at: int | None
