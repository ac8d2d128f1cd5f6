"""Names of containers, rolled up to the part that survives a restart or a roll-out."""

from __future__ import annotations

import re
from functools import lru_cache

# payment-7d9f8b6c5d-x2k4q (replica set and pod), worker-28417205-abcde (job), run_4f2a9c01be77
_TAILS = (
    re.compile(r"-[0-9a-f]{8,10}-[0-9a-z]{5}$"),
    re.compile(r"-[0-9]{8,10}-[0-9a-z]{5}$"),
    re.compile(r"[-_.](?=[0-9a-f]*[0-9])[0-9a-f]{7,64}$"),
    re.compile(r"-(?=[a-z]*[0-9])[0-9a-z]{5}$"),
    re.compile(r"[-_.][0-9]{1,4}$"),
)


@lru_cache(maxsize=65536)
def rolled(container: str) -> str:
    """payment-7d9f8b6c5d-x2k4q, shop_payment_1, payment-4f2a9c01be77 -> without the last part."""
    for tail in _TAILS:
        short = tail.sub("", container)
        if short and short != container:
            return short
    return container
