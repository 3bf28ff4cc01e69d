"""What both sides of the daemon have in common: processes, free ports, and waiting for a condition."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Failed(Exception):
    """A step did not reach what it expects."""


class Skipped(Exception):
    """This Teleport does not support what the step needs."""


# Everything is on the loopback interface, so a proxy of the machine must not get in between.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(url):
    """Returns the status and the text of an answer, or None if nothing answers."""
    try:
        with OPENER.open(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return None


def ask_json(url):
    return json.loads(ask(url)[1])


def until(seconds, problem):
    """Waits until `problem` returns None; what it returned last is the failure."""
    end = time.monotonic() + seconds
    while (found := problem()) is not None:
        if time.monotonic() > end:
            raise Failed(f"{found}, after {seconds} s")
        time.sleep(0.1)


class Process:
    """A program of its own that writes to a log file; it is started again under the same name."""

    def __init__(self, name, folder, command, environment=None):
        self.name, self.command = name, command
        self.log = os.path.join(folder, f"{name}.log")
        self.environment = {**ENVIRONMENT, **(environment or {})}
        self.running = None

    def start(self):
        with open(self.log, "ab") as log:
            self.running = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )

    def runs(self):
        return self.running is not None and self.running.poll() is None

    def stop(self, seconds=30):
        """Ends it with SIGTERM, and returns its exit code."""
        self.running.terminate()
        try:
            return self.running.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} did not end within {seconds} s of SIGTERM") from None

    def kill(self):
        if self.runs():
            self.running.kill()
            self.running.wait()

    def mark(self):
        """Returns the place in the log from which `said` reads on."""
        return os.path.getsize(self.log)

    def said(self, mark=0):
        with open(self.log, "rb") as log:
            log.seek(mark)
            return log.read().decode(errors="replace").splitlines()
