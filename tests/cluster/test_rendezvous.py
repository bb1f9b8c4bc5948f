"""The meeting of the workers, on loopback: threads stand for workers, and real processes where one must die."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures

import pytest

from reglab.cluster import Cluster, RendezvousError, wait_for_peers
from reglab.launch.__main__ import _free_ports
from reglab.signals.stop import EarlyStop, StopRequest

Outcome = RendezvousError | tuple[float, float]  # what was raised, or when it came and when it left


def free_addresses(count: int) -> tuple[str, ...]:
    """Not in the range of outgoing connections, one of which could take the port in the meantime."""
    return tuple(f"127.0.0.1:{port}" for port in _free_ports(count))


def hello(**said: bytes) -> bytes:
    """The first line of worker 1, saying something else in places."""
    fields = {"protocol": b'"reglab-rendezvous-2"', "job": b'""', "digest": b'"same"', "index": b"1", "size": b"2",
              "left": b"9", "choice": b"0"} | said
    return b"{%b}\n" % b", ".join(b'"%b": %b' % (name.encode(), value) for name, value in fields.items())


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.fixture
def meet() -> Callable[..., list[Outcome]]:
    """`meet(addresses, delays, …)`: what each worker got; a delay of None is a worker that never comes."""
    def run(addresses: tuple[str, ...], delays: Sequence[float | None], timeout: float = 5.0,
            digests: Sequence[str] | None = None, indices: Sequence[int] | None = None) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}

        def worker(place: int, delay: float) -> None:
            time.sleep(delay)
            start = time.monotonic()
            try:
                wait_for_peers(Cluster(addresses, indices[place] if indices else place, "TF_CONFIG"), timeout,
                               digests[place] if digests else "same")
                outcomes[place] = start, time.monotonic()
            except RendezvousError as error:
                assert time.monotonic() - start < timeout + 0.5
                outcomes[place] = error

        threads = [threading.Thread(target=worker, args=(place, delay)) for place, delay in enumerate(delays)
                   if delay is not None]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [outcomes[place] for place in sorted(outcomes)]
    return run


@pytest.mark.parametrize("delays", [(0, 0), (0, 0.7, 0), (0.7, 0, 0), (0.2, 0.4, 0), (0,) * 12])
def test_all_leave_together_and_leave_their_ports_free(meet, delays):
    addresses = free_addresses(len(delays))
    outcomes = meet(addresses, delays)
    assert all(isinstance(outcome, tuple) for outcome in outcomes), outcomes
    came, left = zip(*outcomes, strict=True)
    assert min(left) > max(came)
    assert max(left) - max(came) < 0.6
    for address in addresses:  # without SO_REUSEADDR, so that even a lingering connection would show
        with socket.socket() as plain:
            plain.bind(("127.0.0.1", port_of(address)))


@pytest.mark.parametrize("missing, said_by_all", [((2,), "worker 2 (A)"), ((1, 3), "worker 1 (A), worker 3 (A)")])
def test_those_who_never_come_are_named_by_everyone(meet, missing, said_by_all):
    addresses = free_addresses(4)
    outcomes = meet(addresses, [None if i in missing else 0 for i in range(4)], timeout=1)
    assert len(outcomes) == 4 - len(missing)
    for i in missing:
        said_by_all = said_by_all.replace("A", addresses[i], 1)
    for outcome in outcomes:
        assert str(outcome).startswith(f"{said_by_all} did not appear within 1 s: ")
        assert "--rendezvous_timeout" in str(outcome)


def test_a_chief_who_never_comes_is_named_with_the_reason(meet):
    addresses = free_addresses(3)
    for outcome in meet(addresses, [None, 0, 0.2], timeout=1):
        assert str(outcome).startswith(f"worker 0 ({addresses[0]}, the chief) did not appear (Connection refused) "
                                       "within 1 s: ")


def test_a_host_that_does_not_exist(meet):
    own, = free_addresses(1)
    outcome, = meet(("nowhere.invalid:2222", own), [None, 0], timeout=1)
    assert str(outcome).startswith("worker 0 (nowhere.invalid:2222, the chief) did not appear (")


def test_a_worker_with_another_configuration_stops_all(meet):
    addresses = free_addresses(3)
    for outcome in meet(addresses, [0, 0, 0.4], digests=["a", "a", "b"]):
        assert str(outcome) == (f"worker 2 ({addresses[2]}) was started to run something else than the chief: start "
                                "all workers with the same flags, files and versions")


def test_a_worker_with_other_addresses_stops_all(meet):
    addresses = free_addresses(3)
    odd = dataclasses.replace(Cluster(addresses, 1, "TF_CONFIG"), addresses=addresses[:2])
    outcomes: list[Outcome] = []
    chief = threading.Thread(target=lambda: outcomes.extend(meet(addresses, [0, None, None])))
    chief.start()
    with pytest.raises(RendezvousError, match=r"at 127.0.0.1 says that it is worker 1 of 2, but there are 3"):
        wait_for_peers(odd, 5, "same")
    chief.join()
    assert "give all workers the same list of addresses (TF_CONFIG)" in str(outcomes[0])


def test_a_taken_port_shows_at_once(meet):
    addresses = free_addresses(2)
    with socket.create_server(("127.0.0.1", port_of(addresses[1]))):
        start = time.monotonic()
        with pytest.raises(RendezvousError, match=r"worker 1 \(.*\) cannot open its port \(Address already in use\)"):
            wait_for_peers(Cluster(addresses, 1, "Slurm"), 5)
        assert time.monotonic() - start < 0.5


def test_a_worker_started_twice_on_two_hosts(meet, monkeypatch):
    """The second runs elsewhere: here, without its own port to open."""
    addresses = free_addresses(3)
    monkeypatch.setattr("reglab.cluster.rendezvous._listen", lambda cluster: (socket.create_server(
        ("127.0.0.1", port_of(addresses[0]) if cluster.is_chief else 0)), 0))
    for outcome in meet(addresses, [0, 0, 0.3], indices=[0, 1, 1]):
        assert str(outcome).startswith(f"worker 1 ({addresses[1]}) was started twice, at 127.0.0.1 and 127.0.0.1: ")


@pytest.mark.parametrize("noise", [
    b"", b"\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\xff\x00" * 100_000, b"[]\n",
    b'{"index": 1}\n', b'{"protocol": "other", "index": 1}\n', b"[" * 60_000 + b"\n",
    hello(job=b'"another"'), hello(index=b'"a"'), hello(index=b"[]"), hello(index=b"1.5"), hello(left=b"9" * 4000),
    hello(left=b"NaN"), hello(left=b'"x"'), hello(choice=b"1"), hello(choice=b"-1"), hello(choice=b"null")])
def test_strangers_are_ignored(meet, noise):
    addresses = free_addresses(2)
    outcomes: list[Outcome] = []
    workers = threading.Thread(target=lambda: outcomes.extend(meet(addresses, [0, 0.3])))
    workers.start()
    time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", port_of(addresses[0]))) as stranger:
        try:
            stranger.sendall(noise)
        except OSError:
            assert len(noise) > 65_536
        workers.join()
    assert [type(outcome) for outcome in outcomes] == [tuple, tuple], outcomes


def test_something_else_at_the_chiefs_address(meet):
    addresses = free_addresses(2)
    with socket.create_server(("127.0.0.1", port_of(addresses[0]))) as other:
        def serve() -> None:
            try:
                while True:
                    with other.accept()[0] as connection:
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            except OSError:
                pass
        server = threading.Thread(target=serve)
        server.start()
        outcome, = meet(addresses, [None, 0], timeout=0.8)
        other.shutdown(socket.SHUT_RDWR)
        server.join()
    assert "did not appear (something else answers there) within 0.8 s" in str(outcome)


def test_a_worker_that_dies_while_waiting_is_missing_until_it_is_started_again(meet):
    addresses = free_addresses(3)
    code = f"from reglab.cluster import *; wait_for_peers(Cluster({addresses}, 1, 'TF_CONFIG'), 9, 'same')"
    died = subprocess.Popen([sys.executable, "-c", code])
    outcomes: list[Outcome] = []
    workers = threading.Thread(target=lambda: outcomes.extend(meet(addresses, [0, 2.5, 1.8])))
    workers.start()
    time.sleep(1.5)
    died.kill()
    died.wait()
    workers.join()
    assert [type(outcome) for outcome in outcomes] == [tuple] * 3, outcomes
    assert isinstance(outcomes[1], tuple)
    assert isinstance(outcomes[2], tuple)
    assert outcomes[2][1] > outcomes[1][0], "worker 1 was dead when worker 2 came"


@pytest.mark.parametrize("host", ["localhost", "[::1]", "0.0.0.0"])
def test_other_forms_of_addresses(meet, host):
    if host == "[::1]":
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
    addresses = tuple(f"{host}:{port_of(address)}" for address in free_addresses(2))
    assert [type(outcome) for outcome in meet(addresses, [0, 0])] == [tuple, tuple]


# Stop signals.

def asked_to_stop() -> StopRequest:
    stop = StopRequest()
    stop.receive(signal.SIGTERM)
    return stop


@pytest.mark.parametrize("signalled", [0, 1])
def test_a_stop_signal_to_one_who_is_there_stops_all_who_are(signalled):
    addresses, stops, said = free_addresses(4), [StopRequest() for _ in range(3)], {}

    def worker(i: int) -> None:
        with pytest.raises(EarlyStop) as caught:
            wait_for_peers(Cluster(addresses, i, "TF_CONFIG"), 60, "same", stops[i])  # Worker 3 never comes.
        said[i] = str(caught.value)

    threads = [threading.Thread(target=worker, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    stops[signalled].receive(signal.SIGTERM)
    for thread in threads:
        thread.join(timeout=20)
    other = "stopped by a signal to another worker, nothing yet to save"
    assert said == {i: "stopped by SIGTERM, nothing yet to save" if i == signalled else other for i in range(3)}


def test_a_stop_signal_stops_a_worker_whose_chief_is_not_there():
    with pytest.raises(EarlyStop, match="stopped by SIGTERM, nothing yet to save"):
        wait_for_peers(Cluster(free_addresses(2), 1, "TF_CONFIG"), 60, "same", asked_to_stop())


def test_a_worker_that_was_released_before_the_chief_heard_of_its_signal_goes_on():
    addresses = free_addresses(2)

    def chief() -> None:
        with socket.create_server(("127.0.0.1", port_of(addresses[0]))) as server:
            connection, _ = server.accept()
            with connection:
                heard = b""
                while b"stop" not in heard:
                    heard += connection.recv(1000)
                connection.sendall(b'{"missing": [], "chosen": {}}\n')
                connection.recv(1000)

    stop = StopRequest()
    threads = [threading.Thread(target=chief), threading.Timer(0.5, stop.receive, [signal.SIGTERM])]
    for thread in threads:
        thread.start()
    wait_for_peers(Cluster(addresses, 1, "TF_CONFIG"), 60, "same", stop)
    for thread in threads:
        thread.join()
    assert stop  # To be answered together with the others.


def test_what_a_stranger_says_is_quoted_in_one_short_line(meet):
    addresses = free_addresses(2)
    outcomes: list[Outcome] = []
    workers = threading.Thread(target=lambda: outcomes.extend(meet(addresses, [0])))
    workers.start()
    time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", port_of(addresses[0]))) as stranger:
        stranger.sendall(hello(size=b"9" * 4000))
        workers.join()
    assert "says that it is worker 1 of (a whole number of some 4,000 digits)" in str(outcomes[0])
    assert len(str(outcomes[0])) <= 500 and "\n" not in str(outcomes[0])


# Where reglab itself chose the ports, a taken one is no error.

def of_job(job: str, addresses: tuple[str, ...], index: int, shift: int) -> Cluster:
    return Cluster(addresses, index, "Slurm", job, (shift,))


def settle(clusters: Sequence[Cluster]) -> list[Cluster]:
    """What each worker of one or more jobs takes with it when it leaves; the chiefs are there first."""
    with futures.ThreadPoolExecutor(len(clusters)) as pool:
        def start(cluster: Cluster) -> futures.Future[Cluster]:
            time.sleep(0 if cluster.is_chief else 0.3)
            return pool.submit(wait_for_peers, cluster, 20, "same")
        return [future.result() for future in [start(cluster) for cluster in clusters]]


@pytest.fixture
def shifted() -> tuple[tuple[str, str], int]:
    """Two addresses, and what leads from their ports to two others that are free."""
    with contextlib.ExitStack() as stack:
        for port in range(20_500, 31_000, 10):
            with contextlib.suppress(OSError):
                for other in (port, port + 1, port + 4, port + 5):
                    stack.enter_context(socket.create_server(("", other)))
                return (f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"), 4
    raise AssertionError("no free ports")


@pytest.mark.parametrize("taken", [(1,), (0, 1)])
def test_all_agree_on_another_port_for_one_that_is_taken(shifted, taken):
    addresses, shift = shifted
    with contextlib.ExitStack() as stack:
        for index in taken:  # By a server that answers nobody.
            stack.enter_context(socket.create_server(("", port_of(addresses[index]))))
        met = settle([of_job("a", addresses, index, shift) for index in range(2)])
    expected = [port_of(address) + shift * (index in taken) for index, address in enumerate(addresses)]
    assert [[port_of(address) for address in cluster.addresses] for cluster in met] == [expected] * 2


def test_two_jobs_whose_ports_collide_do_not_meet(shifted):
    addresses, shift = shifted
    met = settle([of_job(job, addresses, index, shift) for index in range(2) for job in "ab"])
    assert met[0].addresses == met[2].addresses and met[1].addresses == met[3].addresses
    assert met[0].addresses[0] != met[1].addresses[0]


def test_a_taken_port_without_another_choice_says_where_it_was_set(shifted):
    addresses, shift = shifted
    with socket.create_server(("", port_of(addresses[1]))), socket.create_server(("", port_of(addresses[1]) + shift)), \
            pytest.raises(RendezvousError, match=r"worker 1 \(.*\) cannot open its port .* set another in REGLAB_PORT"):
        wait_for_peers(of_job("a", addresses, 1, shift), 5)
