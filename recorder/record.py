"""`qrec record`: from a live stream into the store, until told to stop.

The reading process (recorder.pipeline.reader) drains the socket and hands blocks of events to
workers that decode, redact and write them; this one watches over both, keeps coverage, and carries
no rows; a thread of it merges and has hours sealed. What nobody has time for waits in the reader.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from recorder import native
from recorder.decode.events import knows_filters
from recorder.options import (
    RecordOptions,
    Reporter,
    Status,
    Summary,
    Unfailing,
    encode_settings,
    plan_filter,
    redaction_key,
)
from recorder.pipeline.frames import Alive, Down, Ended, Up, mono_us
from recorder.pipeline.workers import Handout, Message, Workers, checked
from recorder.source.request import Subscription, advice, check_url, shown
from recorder.write.coverage import Ledger, count
from recorder.write.intake import Rejected, rejected
from recorder.write.retention import Retention, keep_house
from recorder.write.seal import Housekeeper, Sealer
from recorder.write.segments import Numbers, new_session, write_rejected
from store.coverage import Stretch, last_stretch
from store.errors import QrecError, UnavailableError, UsageError
from store.layout import Store, check_recorder, holder, recorder_lock
from store.marks import mend

if TYPE_CHECKING:
    from recorder.metrics import Metrics

_TICK_S = 1.0  # until it is looked whether to stop; a signal is heard at once
_GATHERED = 0.9  # of a flush interval, in the reading process; then the worker
_COVERAGE_EVERY = 5  # flush intervals; a new state is written at once
_BUSY_BYTES = 8 << 20  # waiting: the stream needs the processor more than the house does
# After the order to stop: what no worker comes further with for so long is counted as dropped.
_END_S, _STARTING_S, _LONGEST_S = 2.0, 20.0, 30.0


def record(
    options: RecordOptions, reporter: Reporter, stop: threading.Event | None = None
) -> Summary:
    """Record until a signal, `stop`, the duration, or (`until_end`) the end of the stream.

    Raises UnavailableError when the source cannot be reached at the start (without `wait`) or the
    store cannot be used, UsageError when the source refuses the filter.
    """
    name = check_recorder(options.name())
    check_url(options.url)
    reporter = Unfailing(reporter)
    expression, pushed, remarks = plan_filter(options)
    for remark in [*remarks, *native.remarks()]:
        reporter.note(remark)
    with contextlib.suppress(OSError, ValueError):  # of descriptors, as many as we may have
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    was_there = options.store.exists()
    store = Store.create(options.store)
    with recorder_lock(store, name) as keep_lock:
        recording: Recording | None = None
        try:
            recording = Recording(store, name, options, expression, pushed, reporter, keep_lock)
            return recording.run(stop or threading.Event())
        finally:
            if not was_there and not (recording and recording.ever_up):
                _remove_empty(store, name)


class Recording:
    """One run of a recorder: its processes, its flushes, its end."""

    def __init__(
        self,
        store: Store,
        name: str,
        options: RecordOptions,
        expression: str | None,
        pushed: str | None,
        reporter: Reporter,
        keep_lock: Callable[[], None],
    ) -> None:
        self.options = options
        self._keep_lock = keep_lock
        self.reporter = reporter
        self.store = store
        self.name = name
        session = new_session()
        topics = ("http", "connection") if options.connections else ("http",)
        self.ledger = Ledger(store, name, session, expression, pushed, topics, options.group)
        key = redaction_key(store, options)
        policy = checked(options)
        self.numbers = Numbers(store, name)
        self.numbers.use(self.numbers.last)
        settings = encode_settings(key, options, session)
        most = options.workers or os.cpu_count() or 1
        self.workers = Workers(settings, most, self.numbers.last + 1)
        self.sealer = Sealer()
        self.keeper = Housekeeper(
            store, name, policy, ledger=self.ledger, note=reporter.note,
            settled=lambda: self.workers.settled, seal=self.sealer.seal,
        )  # fmt: skip
        self.keeper.tidy()
        self.pushed = pushed
        self.previous = last_stretch(store, name)
        self.session, self.policy = session, policy
        self.stopping = self.source = self._told_why = ""
        self.rows = Counter[str]()  # written, by table
        self.written_bytes = 0
        self.ever_up = False
        self._dropped = 0
        self._ended = False  # the source ended the stream that was to be recorded to its end
        self._drained = False  # everything that was read has been counted
        self._heard = self._ordered = 0  # when the source was; when it was told to stop
        self._written_state: Stretch | None = None
        self._coverage_at = self._flush_s = 0.0
        self._coverage_failed = self._told_undecided = False
        self._last_status = (time.monotonic(), 0)
        self._metrics: Metrics | None = None
        if options.metrics:
            from recorder.metrics import Metrics  # only who asks for metrics pays for them

            try:
                self._metrics = Metrics(options.metrics, name, store)
            except UnavailableError as error:  # a taken port; recording matters more
                reporter.note(error.message)

    def run(self, stop: threading.Event) -> Summary:
        started = time.monotonic()
        done = threading.Event()
        keep = None if self.options.keep is None else dt.timedelta(seconds=self.options.keep)
        house = (
            self.keeper, Retention(self.store, keep, self.options.max_size), self.reporter.note,
            lambda: self.workers.queued > _BUSY_BYTES, done,
        )  # fmt: skip
        keeping = threading.Thread(target=keep_house, args=house, name="house", daemon=True)
        keeping.start()
        with _ending_signals(self._stop) as self.workers.woken:
            try:
                self._subscribe(self.pushed)
                self._loop(started, stop)
            finally:
                done.set()
                self.sealer.end()
                self._end()
                keeping.join(timeout=_END_S)  # what it is about may be cut short at any point
        return Summary(
            recorder=self.name,
            session=self.session,
            written=self.rows.total(),
            rows=self.rows,
            seconds=time.monotonic() - started,
            gaps=self.ledger.gaps,
            reason=self.stopping,
        )

    def _loop(self, started: float, stop: threading.Event) -> None:
        flush_at = started + self.options.flush_interval
        ordered = 0.0  # when it was told to stop
        while not self._drained and not (ordered and self._late(ordered)):
            wait_s = max(0.0, min(_TICK_S, flush_at - time.monotonic()))
            for message in self.workers.poll(wait_s):
                self._handle(message)
            self.ledger.count("dropped", self.workers.dropped - self._dropped)
            self._dropped = self.workers.dropped
            now = time.monotonic()
            if now >= flush_at:
                self._check_lock()
                self._write_coverage()
                self._report()
                flush_at = time.monotonic() + self.options.flush_interval
            if self.options.duration is not None and now - started >= self.options.duration:
                if not (self.ever_up or self.options.wait or self.stopping):
                    text = f"no answer in {self.options.duration:g} s"
                    raise _start_error(self.options.url, Down(0, "timeout", text, False, 0))
                self._stop(f"after {self.options.duration:g} s, as asked")
            if stop.is_set():
                self._stop("as asked")
            if self.stopping and not ordered and not self._ended:
                ordered, self._ordered = now, mono_us()
                self.workers.stop()

    def _late(self, ordered: float) -> bool:
        """Whether what is left will not reach the disk in time: no worker came further for some
        seconds."""
        now = time.monotonic()
        patience = _STARTING_S if self.workers.starting else _END_S
        return now > max(ordered, self.workers.moved_at) + patience or now > ordered + _LONGEST_S

    def _handle(self, message: Message) -> None:
        match message:
            case Handout():
                self._heard = message.mono
                self._settled(message)
            case Alive():
                self._heard = message.mono
                self.ledger.alive(message.mono)
            case Up():
                self._heard = message.mono
                if not self.ever_up:
                    self.reporter.note(f"connected to {shown(self.options.url)}")
                self.ever_up = True
            case Down():
                self._down(message)
            case Ended():
                self._drained = True

    def _settled(self, block: Handout) -> None:
        """A block is on the disk, or is lost: which is counted."""
        self.numbers.use(block.last)
        if block.done is None:
            self.ledger.count("dropped", block.events)
            text = f"internal: processes died or hung over a block of {block.events} events"
            write_rejected(self.store, self.name, [Rejected("block", text, 0, "")])
            self.reporter.note(f"lost: {text}")
            return
        done = block.done
        self.rows.update(done.rows)
        self.written_bytes += done.size
        self._flush_s = done.seconds
        self.ledger.accepted(mono_us())
        count(self.ledger, done.parts, block.mono, self._greeted)
        write_rejected(self.store, self.name, rejected(done.parts))
        if self.ledger.totals["undecided"] and not self._told_undecided:
            self._told_undecided = True
            self.reporter.note(
                "the filter is left open by a field that an event lacks: such events are not "
                "recorded (`missing(FIELD) or ...` takes them)"
            )
        if self.ledger.open is not self._written_state:
            self._write_coverage()  # rows that can be seen are of time that is known

    def _write_coverage(self, everything: bool = False) -> None:
        """A new state at once, what only grows every few flush intervals: it is a file each time.

        A disk that refuses is no error: coverage says so when it is taken again.
        """
        if self.workers.refused:
            self._refused(self.workers.refused)
        state, now = self.ledger.open, time.monotonic()
        is_known = state is self._written_state or self._coverage_failed
        if not everything and is_known and now < self._coverage_at:
            return
        self._coverage_failed = False
        try:
            mend(self.store, self.policy, self.name)
            self.ledger.flush()
            if not self.workers.refused:
                self.ledger.accepted(mono_us())
            self._written_state = state
            self._coverage_at = now + _COVERAGE_EVERY * self.options.flush_interval
        except OSError as error:
            self._coverage_failed = True
            self._coverage_at = now + self.options.flush_interval
            self._refused(error.strerror or str(error))

    def _check_lock(self) -> None:
        """QrecError when somebody deleted the store, and another recorder has its name by now."""
        try:
            self._keep_lock()
        except UnavailableError as error:
            if holder(self.store, self.name) is not None:
                text = "the store was deleted, and another recorder has this one's name"
                raise QrecError(text, error.hint) from None

    def _refused(self, why: str) -> None:
        if self.ledger.refused(why, mono_us()):
            self.reporter.note(f"nothing can be written, and what comes waits: {why}")

    def _greeted(self, data: str) -> None:
        """system.connected: its echo tells the dialect, and with it whether filters were heard."""
        if self.previous is not None and self.ledger.clock is not None:
            self.ledger.carry_on(self.previous, self.ledger.clock.ts)
            self.previous = None
        filters = knows_filters(data)
        source = "Qtap 0.14 or newer" if filters else "Qtap before 0.14"
        if source != self.source:
            self.reporter.note(f"the source is {source}")
            if self.pushed and not filters:
                self.reporter.note("it knows no filters: the whole filter is applied here")
        if not filters:
            self.ledger.nothing_pushed()
        self.source = source

    def _down(self, down: Down) -> None:
        refuses = down.kind == "filter"
        if refuses and not self.pushed:
            return  # told by the reader before this one, which had gone on trying
        if refuses and self.options.push != "all":
            # A Qtap, perhaps of another version, that does not take the filter: filter here.
            self.reporter.note(
                f"the source refuses the filter: the whole of it is applied here ({down.text})"
            )
            self.pushed = None
            self.ledger.nothing_pushed()
            self._subscribe(None)
            return
        if not (self.ever_up or down.was_up) and (not self.options.wait or refuses):
            raise _start_error(self.options.url, down)
        if not self.ever_up and down.text != self._told_why:
            self._told_why = down.text
            self.reporter.note(f"no stream yet: {down.text}; trying again")
        if down.was_up:
            self.ledger.alive(down.good_until)
            if self.options.until_end:  # the end that was waited for is no gap
                self.ledger.connection = False
                self._ended = True  # what was read is written, however long that takes
                self._stop("the source ended the stream")
                return
            self.ledger.lost(down.text, down.mono)
            self.reporter.note(f"disconnected: {down.text}; trying again")

    def _report(self) -> None:
        now, written = time.monotonic(), self.rows.total()
        (then, before), self._last_status = self._last_status, (now, written)
        total, clock = self.ledger.totals, self.ledger.clock
        status = Status(
            state=self.ledger.state() if self.ever_up else "waiting",
            events=total["events"],
            written=written,
            per_s=(written - before) / max(now - then, 1e-3),
            lag_ms=clock.lag_us // 1000 if clock else 0,
            gaps=self.ledger.gaps,
            rejected=total["rejected"],
            filtered=total["filtered"],
            filter_errors=total["undecided"],
            dropped=total["dropped"],
            bodies_shed=total["bodies_shed"],
            source=self.source,
            written_bytes=self.written_bytes,
            flush_s=self._flush_s,
        )
        self.reporter.status(status)
        if self._metrics is not None:
            self._metrics.update(status)

    def _stop(self, reason: str) -> None:
        self.stopping = self.stopping or reason

    def _end(self) -> None:
        """The last word of coverage: that the recorder stopped of its own will."""
        lost = self.workers.close()
        for block in self.workers.rest():
            self._settled(block)
        recent = self._ordered - self._heard < 1.5e6 * self.options.probe_after_s
        if self._drained and self.ledger.connection and recent:
            # Silent for less than it takes to ask: nothing speaks against the link. After a
            # failure what was under way is lost: then only what is written counts as seen.
            self.ledger.alive(self._ordered)
        self.ledger.count("dropped", lost)
        if lost:
            self.reporter.note(f"lost: {lost:,} events that were read never reached the disk")
        self._write_coverage(everything=True)
        self.ledger.change("stopped", self.stopping or "failed", mono_us())
        self._write_coverage(everything=True)
        with contextlib.suppress(OSError):
            self.numbers.save()
        self._report()

    def _subscribe(self, pushed: str | None) -> None:
        options = self.options
        self.workers.start(
            Subscription(
                options.url,
                pushed,
                options.connections,
                artifacts=True,
                once=options.until_end,
                headers_s=options.headers_s,
                probe_after_s=options.probe_after_s,
            ),
            gather_s=_GATHERED * options.flush_interval,
        )


@contextlib.contextmanager
def _ending_signals(stop: Callable[[str], None]) -> Iterator[int | None]:
    """SIGINT, SIGTERM and SIGHUP (the terminal is gone) end the recording in good order. Yields a
    descriptor to which each of them writes: a wait goes on after a signal's handler.

    Only the main thread may say so; a SIGHUP that nohup has switched off stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    before = {
        number: signal.signal(number, lambda n, _f: stop(f"by {signal.Signals(n).name}"))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    others = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    try:
        yield woken
    finally:
        signal.set_wakeup_fd(others)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(woken)
        os.close(waker)


def _remove_empty(store: Store, recorder: str) -> None:
    """Take away the store that a recording made which never had anything to write.

    Folders are removed only where they are empty: whatever else is there stays, and the store
    with it.
    """
    live = store.live(recorder)
    ours = {store.manifest, store.key_file, live / "lock", live / "seq"}
    if any(path.is_file() and path not in ours for path in store.path.rglob("*")):
        return
    for path in ours:
        path.unlink(missing_ok=True)
    folders = sorted((p for p in store.path.rglob("*") if p.is_dir()), reverse=True)
    for folder in [*folders, store.path]:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _start_error(url: str, down: Down) -> QrecError:
    """The error for a source that could not be subscribed to, with the next step."""
    hint = advice(down.kind)
    if down.kind == "filter":
        return UsageError(f"the source refuses the filter: {down.text}", hint)
    text = f"no stream from {shown(url)}: {down.text}"
    return UnavailableError(text, f"{hint} --wait goes on trying.")
