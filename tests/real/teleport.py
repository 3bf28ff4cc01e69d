"""A real Teleport on free ports: an Auth Service and a Proxy, with the roles and users that the steps need."""

import json
import os
import re
import subprocess

from parts import ENVIRONMENT, Failed, Process, ask, free_port, until

CLUSTER = "real.example.com"
# The user of the daemon.
BOT = "msteams"
# Servers refuse versions of roles that are newer than they are.
ROLE_VERSIONS = ["v7", "v6", "v5"]
# The roles that can be requested.
DBA, OPS = "dba", "ops"


class Teleport:
    def __init__(self, programs, folder):
        self.tctl_path = os.path.join(programs, "tctl")
        self.folder = folder
        self.auth, self.proxy, self.diagnostics = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.config = os.path.join(folder, "teleport.yaml")
        self.identity = os.path.join(folder, "identity")
        self.takes_reviews = False
        self.version = subprocess.run(
            [os.path.join(programs, "teleport"), "version"], capture_output=True, text=True, check=True
        ).stdout.strip()
        data = os.path.join(folder, "data")
        # A program that was built without the web pages takes any page for them; others do not look there.
        assets = os.path.join(folder, "assets")
        os.makedirs(os.path.join(assets, "app"))
        with open(os.path.join(assets, "index.html"), "w", encoding="utf-8") as page:
            page.write("<!DOCTYPE html>{{.Session}}{{.XCSRF}}")
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "version": "v3",
                    "teleport": {
                        "nodename": "real",
                        "data_dir": data,
                        "log": {"output": "stderr", "severity": "INFO"},
                        "diag_addr": self.diagnostics,
                    },
                    "auth_service": {
                        "enabled": "yes",
                        "cluster_name": CLUSTER,
                        "listen_addr": self.auth,
                        "proxy_listener_mode": "multiplex",
                    },
                    "proxy_service": {"enabled": "yes", "web_listen_addr": self.proxy, "public_addr": self.proxy},
                    "ssh_service": {"enabled": "no"},
                },
                file,
            )
        command = [os.path.join(programs, "teleport"), "start", "-c", self.config]
        self.process = Process("teleport", folder, command, {"DEBUG": "1", "DEBUG_ASSETS_PATH": assets})

    def start(self):
        """Starts it, and returns when both services are ready."""
        self.process.start()

        def problem():
            if not self.process.runs():
                raise Failed("Teleport ended:\n" + "\n".join(self.process.said()[-20:]))
            answer = ask(f"http://{self.diagnostics}/readyz")
            return None if answer and answer[0] == 200 else "Teleport is not ready"

        until(60, problem)

    def tctl(self, *arguments):
        """Returns what tctl printed; arguments may be bytes."""
        command = [self.tctl_path, "-c", self.config, *arguments]
        done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=60, check=False)
        if done.returncode != 0:
            text = done.stderr.decode(errors="replace").strip()
            raise Refused(f"{arguments[0]} {arguments[1]}: {text}")
        return done.stdout.decode(errors="replace")

    def put(self, kind, name, version, spec):
        path = os.path.join(self.folder, "resource.json")
        resource = {"kind": kind, "version": version, "metadata": {"name": name}, "spec": spec}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(resource, file)
        self.tctl("create", "-f", path)

    def put_role(self, name, allow):
        for version in ROLE_VERSIONS:
            try:
                return self.put("role", name, version, {"allow": allow})
            except Refused as error:
                refused = error
        raise refused

    def put_user(self, name, *roles):
        self.put("user", name, "v2", {"roles": list(roles)})

    def populate(self, reviewers):
        """Makes roles and users as the README says, and writes the daemon's identity."""
        self.put_role(DBA, {})
        self.put_role(OPS, {})
        self.put_role("requester", {"request": {"roles": [DBA, OPS]}})
        self.put_user("bob", "requester")
        self.put_role(
            BOT,
            {
                "rules": [
                    {"resources": ["access_request"], "verbs": ["list", "read"]},
                    {"resources": ["access_plugin_data"], "verbs": ["update"]},
                    {"resources": ["access_monitoring_rule"], "verbs": ["list", "read"]},
                ]
            },
        )
        self.put_bot()
        self.tctl("auth", "sign", f"--user={BOT}", "--format=file", f"--out={self.identity}", "--ttl=8h")
        try:
            threshold = {"name": "two", "approve": 2, "deny": 1}
            self.put_role("reviewed", {"request": {"roles": [DBA, OPS], "thresholds": [threshold]}})
            self.put_role("reviewer", {"review_requests": {"roles": [DBA, OPS]}})
        except Refused:
            # An edition of Teleport without advanced workflows.
            return
        self.put_user("carol", "reviewed")
        for reviewer in reviewers:
            self.put_user(reviewer, "reviewer")
        self.takes_reviews = True

    def put_bot(self):
        self.put_user(BOT, BOT)

    def request(self, reason, user="bob", role=DBA):
        """Makes a request, and returns its id."""
        if isinstance(reason, str):
            reason = reason.encode()
        printed = self.tctl("requests", "create", user, f"--roles={role}", b"--reason=" + reason)
        return re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", printed)[0]


class Refused(Failed):
    """tctl failed."""
