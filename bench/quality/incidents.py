"""The incidents to plant, by name: each changes the plan of the window and says what is found.

An incident is a function of a `Stage`. It may add flows to the stage's own copy of the world,
asks for the window's plan, changes it from the onset on, and returns the `Truth`.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.quality import failing, shifting
from bench.quality.stage import Stage, Truth

# name -> (function, severities); "effect x2 and more" starts at the second severity
INCIDENTS: dict[str, tuple[Callable[[Stage], Truth], tuple[float, ...]]] = {
    "new_host": (shifting.new_host, (1, 3, 10)),
    "host_gone": (shifting.host_gone, (1,)),
    "new_status": (failing.new_status, (1, 3, 10)),
    "one_container": (failing.one_container, (1, 3, 10)),
    "latency": (shifting.latency, (1.3, 2, 10)),
    "tail": (shifting.tail, (1, 2, 4)),
    "retry_storm": (shifting.retry_storm, (1, 2.5, 5)),
    "moved": (shifting.moved, (1,)),
    "endpoint_removed": (failing.endpoint_removed, (1,)),
    "new_signature": (failing.new_signature, (1,)),
    "key_expired": (failing.key_expired, (1,)),
    "rate_limit": (failing.rate_limit, (0.4, 1, 3)),
    "renamed": (shifting.renamed, (1,)),
    "size_collapse": (shifting.size_collapse, (1, 3)),
    "no_response": (failing.no_response, (1, 3, 10)),
    "interaction": (failing.interaction, (1, 3, 10)),
    "broad": (failing.broad, (1, 3)),
    "slow_leak": (failing.slow_leak, (1,)),
    "good_mix": (shifting.good_mix, (1, 2)),
    "other_program": (shifting.other_program, (1,)),
    "one_stops": (shifting.one_stops, (1,)),
    "grpc_unavailable": (failing.grpc_unavailable, (1, 3, 10)),
    "deep_service": (failing.deep_service, (1, 3, 10)),
}
