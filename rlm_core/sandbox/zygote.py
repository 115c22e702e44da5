"""The child side: processes that only fork.  Nothing here ever runs model-written code.

The host has threads and keys, so it is never forked.  It starts, once, a *first zygote*: a bare
interpreter, exec'd with an empty environment and nothing inherited, that imports all that cells may use
and then waits.  Each run gets a fork of it, the *run's zygote*, which takes the run's inputs, once.  Each
REPL gets a fork of that, a *worker*, which shares the inputs' pages with it, locks itself in (`oswall`)
and then serves cells (`worker`).

    host ── first zygote ── run's zygote ── worker, worker, ...
                         └─ run's zygote ── worker, ...

So a second run starts in milliseconds, and no run's text is ever in the memory of another run's worker.

Nothing may be left behind.  A zygote ends at the end of file of its control connection, so also when the
host is killed. A worker is killed by the kernel when its zygote ends.  (Not so a zygote: the kernel means
the *thread* that started it.)
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from rlm_core.sandbox import control, oswall, parcel, probes, wire, worker
from rlm_core.sandbox.control import Carried, Failed, Hold, Kill, Made, NewRun, NewWorker

_WATCH_SECONDS = 0.05


def main(descriptor: int) -> NoReturn:
    """The first zygote; `descriptor` is its control connection."""
    os.environ.clear()
    worker.preload()
    oswall.preload()
    oswall.settle()
    # where things are on this machine; nothing is imported any more
    for told in (sys.argv, sys.orig_argv, sys.path):
        told.clear()
    sys.path_importer_cache.clear()
    zygote = Zygote(socket.socket(fileno=descriptor), holds_run=False)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)  # until here, standard error told the host what went wrong
    control.send(zygote.connection, Carried())
    zygote.serve()


class Zygote:
    def __init__(self, connection: socket.socket, holds_run: bool):
        self.connection, self._holds_run = connection, holds_run
        self._children: set[int] = set()
        self._held: dict[int, Any] = {}
        self._memory: dict[int, int] = {}  # what each worker may use, where the kernel keeps no such limit
        self._parent = os.getpid()

    def serve(self) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the host's to handle
        signal.signal(signal.SIGCHLD, lambda *_: self._reap())
        gc.disable()  # a collection would write into pages that are shared with the workers
        gc.freeze()
        while True:
            if oswall.KEEPS_NO_MEMORY_LIMIT:
                self._watch_memory()
            try:
                order, descriptors = control.receive_order(self.connection)
            except (EOFError, OSError):
                self._end()
            try:
                answer, given = self._carry_out(order, descriptors)
            except Exception as error:
                answer, given = Failed(f"{type(error).__name__}: {error}"), []
            for descriptor in descriptors:
                os.close(descriptor)
            try:
                control.send(self.connection, answer, given)
            except OSError:
                self._end()
            for descriptor in given:
                os.close(descriptor)

    def _carry_out(self, order: control.Order, descriptors: list[int]) -> tuple[control.Answer, list[int]]:
        match order:
            case NewRun():
                return self._fork(lambda: self._become_run(descriptors[0]))
            case Hold(keys, layout):
                self._held.update(zip(keys, parcel.read(descriptors[0], layout), strict=True))
                gc.freeze()
                return Carried(), []
            case NewWorker():
                made, given = self._fork(lambda: self._become_worker(order, descriptors))
                if oswall.KEEPS_NO_MEMORY_LIMIT and isinstance(made, Made):
                    self._memory[made.pid] = oswall.resident(self._parent) + order.memory
                return made, given
            case Kill(pid):
                self._kill(pid)
                return Carried(), []

    def _fork(self, become: Callable[[], None]) -> tuple[control.Answer, list[int]]:
        # A child that ends at once must be in the set before it is reaped.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        try:
            pid = os.fork()
            if pid:
                self._children.add(pid)
                return Made(pid), _process_descriptor(pid)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        try:
            become()
        finally:
            os._exit(1)

    def _become_run(self, connection: int) -> NoReturn:
        os.setsid()
        Zygote(socket.socket(fileno=self._keep_only(connection, [connection])), holds_run=True).serve()

    def _become_worker(self, order: NewWorker, descriptors: list[int]) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        oswall.die_with_parent(self._parent)
        refusal, inputs = None, {}
        try:
            inputs = {name: self._held[key] for name, key in order.held.items()}
            if order.layout is not None:
                inputs.update(zip(order.own, parcel.read(descriptors[1], order.layout), strict=True))
        except Exception as error:
            refusal = wire.Refused("start", f"{type(error).__name__}: {error}")
        channel = wire.Channel(self._keep_only(descriptors[0], descriptors), order.limit)
        try:
            walls = oswall.lock(order.memory, weak=order.weak)
        except oswall.Missing as missing:
            refusal = wire.Refused("wall", str(missing))
        if refusal is not None:
            channel.send(refusal)
            return
        gc.enable()
        channel.send(wire.Ready(walls))
        if order.probing:
            probes.serve(channel)
        else:
            worker.serve(channel, inputs, order.repl)

    def _keep_only(self, descriptor: int, descriptors: list[int]) -> int:
        """Closes every descriptor but this one, which is number 3 from now on, and the standard three, which
        are /dev/null.  A zygote has no others: it was exec'd with none, and opens none."""
        self.connection.close()
        if descriptor != 3:
            os.dup2(descriptor, 3, inheritable=False)
        for received in descriptors:
            if received != 3:
                os.close(received)
        return 3

    def _watch_memory(self) -> None:
        """Until the next order comes."""
        while not select.select([self.connection], [], [], _WATCH_SECONDS)[0]:
            for pid, limit in list(self._memory.items()):
                if pid not in self._children:
                    del self._memory[pid]
                elif oswall.resident(pid) > limit:
                    self._kill(pid)

    def _kill(self, pid: int) -> None:
        """Only a child that is not reaped, so that its number is still its own."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        try:
            if pid in self._children:
                os.kill(pid, signal.SIGKILL)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])

    def _reap(self) -> None:
        """The handler of SIGCHLD, which may come again while this runs: each child is taken from the
        kernel, by whichever run of this gets it, and not looked up in a list that another run has made
        stale."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)

    def _end(self) -> NoReturn:
        if self._holds_run:  # Linux would do it, other systems not
            for pid in tuple(self._children):
                self._kill(pid)
        os._exit(0)


def _process_descriptor(pid: int) -> list[int]:
    try:
        return [os.pidfd_open(pid)]
    except (AttributeError, OSError):  # not Linux; or an old kernel, or a container that forbids it
        return []
