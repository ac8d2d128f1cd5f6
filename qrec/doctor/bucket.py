"""A bucket in the place of a store: whether it can be read, written to, and trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator

from qrec.doctor import Check
from queries.core.format import plural
from recorder.write.ship import check_create_only
from store.bucket import RECORDERS, Bucket
from store.layout import Store
from store.remote import Remote


def bucket(store: Store) -> Iterator[Check]:
    """What it holds, and whether it keeps a second object from taking the place of a first."""
    assert isinstance(store, Bucket)
    hours = store.hours("transactions")
    upto = f", up to {hours[-1]}" if hours else ""
    yield Check("store", "ok", f"{store.name} is a store of {plural(len(hours), 'hour')}{upto}")
    remote = Remote(store.name)
    names = [blob.name for blob in remote.list(RECORDERS)[0]]
    claims = [json.loads(remote.get(name) or b"{}") for name in names[:1]]
    whose = f", the first on {claims[0].get('host', 'an unknown host')}" if claims else ""
    yield Check("recorders", "ok", f"{plural(len(names), 'recorder')} ship there{whose}")
    check_create_only(remote)
    yield Check("create-only", "ok", "an object that is there is never replaced by another")
