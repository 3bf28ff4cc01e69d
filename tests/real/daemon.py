"""The daemon between the real Teleport and the fake tenant, and what the reviewers see."""

import json
import os
import subprocess

from parts import ENVIRONMENT, Failed, Process, ask, ask_json, free_port, until

# They receive a card for each request.
REVIEWERS = ["rev1@example.com", "rev2@example.com"]
# How long a card may take while both sides respond. An old Teleport notices a change once a second.
SOON = 15
# How long a card may take after an outage: the longest pause between two attempts, and some more.
AFTER_OUTAGE = 60


class Tenant:
    """The fake tenant, as a process of its own."""

    def __init__(self, program):
        # It ends when its standard input is closed, which happens however this script ends.
        self.process = subprocess.Popen(
            [program, *REVIEWERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
        )
        self.facts = json.loads(self.process.stdout.readline())

    def cards(self, request):
        return [card for card in ask_json(self.facts["cards"]) if card["request"] == request]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


class Daemon:
    def __init__(self, program, folder, tenant, teleport):
        self.tenant, self.folder = tenant, folder
        self.identity = teleport.identity
        self.diagnostics = f"127.0.0.1:{free_port()}"
        self.config = os.path.join(folder, "teleport-msteams.toml")
        self.process = Process("daemon", folder, [program, "--debug", "start", "--config", self.config])
        self.connect_to(teleport.auth)

    def connect_to(self, address):
        """Writes the configuration."""
        facts = self.tenant.facts
        quoted = json.dumps
        lines = [
            f"diag_addr = {quoted(self.diagnostics)}",
            "[teleport]",
            f"addr = {quoted(address)}",
            f"identity = {quoted(self.identity)}",
            "[msapi]",
            *(f"{key} = {quoted(facts[key])}" for key in ("app_id", "app_secret", "tenant_id", "teams_app_id")),
            "[msapi.endpoints]",
            *(f"{key} = {quoted(facts[key])}" for key in ("login", "graph", "bot")),
            "[role_to_recipients]",
            f'"*" = {quoted(REVIEWERS)}',
            "[log]",
            'format = "json"',
        ]
        with open(self.config, "w", encoding="utf-8") as file:
            os.chmod(self.config, 0o600)
            file.write("\n".join(lines) + "\n")

    def start(self, seconds=SOON):
        self.process.start()

        def problem():
            if not self.process.runs():
                raise Failed(f"the daemon ended with {self.process.running.returncode}")
            answer = ask(f"http://{self.diagnostics}/readyz")
            return None if answer and answer[0] == 200 else f"the daemon is not ready: {answer}"

        until(seconds, problem)

    def stop(self):
        code = self.process.stop()
        if code != 0:
            raise Failed(f"the daemon ended with {code} after SIGTERM")

    def restart(self, meanwhile=lambda: None):
        self.stop()
        meanwhile()
        self.start()

    def warns(self, mark, wanted, seconds):
        """Waits for a warning or an error after `mark` that holds one of these words."""

        def problem():
            for line in self.process.said(mark):
                fields = json.loads(line) if line.startswith("{") else {"level": "ERROR", "message": line}
                text = " ".join(str(value) for value in fields.values()).lower()
                if fields["level"] in ("WARN", "ERROR") and any(word in text for word in wanted):
                    return None
            return f"no warning says {' or '.join(wanted)}"

        until(seconds, problem)

    def shows(self, request, word, seconds=SOON, text=""):
        """Waits until each reviewer has exactly one card of the request, with this word and this text in it."""
        until(seconds, lambda: self.wrong(request, word, text))

    def wrong(self, request, word, text=""):
        """Returns what is wrong with the cards of a request, or None."""
        cards = self.tenant.cards(request)
        for reviewer in REVIEWERS:
            own = [card for card in cards if card["recipient"] == reviewer]
            if len(own) != 1:
                return f"{reviewer} has {len(own)} cards of request {request}, not one"
            shown = own[0]["words"][-1]
            if shown != word:
                return f"the card of {reviewer} for request {request} shows {shown}, not {word}"
            if text not in json.dumps(own[0]["content"], ensure_ascii=False):
                return f"the card of {reviewer} for request {request} does not show {text!r}"
        return None
