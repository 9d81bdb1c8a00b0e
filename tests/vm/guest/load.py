"""A load of clients through the proxy on 127.0.0.1:8080, until SIGTERM: `load.py CLIENTS ANSWERED REPORT`.

The path of each answered request goes into the file ANSWERED. Half of the clients keep their connection, half make a new
one for each request. A kept connection may be closed while it is idle; then the request is sent again on a new one, as
every browser does. At the end REPORT gets one line of JSON: how many were answered, failed and sent again, and the
longest time that a client was without an answer.
"""

import http.client
import json
import signal
import sys
import threading
import time

import origin

stop = threading.Event()
lock = threading.Lock()
counts = {"answered": 0, "failed": 0, "again": 0, "longest_ms": 0}
errors = {}


def client(number, answered):
    connection = None
    sequence = 0
    last_answer = time.monotonic()
    while not stop.is_set():
        sequence += 1
        size = 200_000 if sequence % 16 == 0 else 1_000
        path = f"/bytes/{size}/{number}-{time.time_ns()}"
        error = None
        for kept in (connection is not None, False):
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=120)
                connection.request("GET", "http://origin.test:9080" + path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or body != origin.body_of(path):
                    error = f"status {answer.status}: {body[:300].decode(errors='replace')}"
                break
            except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected) as closed:
                connection.close()
                connection = None
                error = f"{type(closed).__name__}: {closed}"
                if not kept:
                    break
                with lock:
                    counts["again"] += 1
            except (OSError, http.client.HTTPException) as failure:
                error = f"{type(failure).__name__}: {failure}"
                break
        now = time.monotonic()
        with lock:
            if error is None:
                counts["answered"] += 1
                counts["longest_ms"] = max(counts["longest_ms"], round((now - last_answer) * 1000))
                last_answer = now
                answered.write(path + "\n")
            else:
                counts["failed"] += 1
                errors[error] = errors.get(error, 0) + 1
        if connection is not None and (error is not None or number % 2 == 0):
            connection.close()
            connection = None
        if error is not None:
            stop.wait(0.05)


def main():
    clients, answered, report = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with open(answered, "a", encoding="ascii", buffering=1) as file:
        threads = [threading.Thread(target=client, args=(n, file)) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with open(report, "w", encoding="ascii") as file:
        file.write(json.dumps(counts | {"errors": errors}) + "\n")


if __name__ == "__main__":
    main()
