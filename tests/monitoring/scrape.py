"""Lets a real Prometheus scrape what the program serves, with the target labels that Prometheus Operator sets.

Usage: scrape.py PROMETHEUS METRICS DASHBOARD RULES. Fails if Prometheus has to rename a label (exported_...), or if a
panel or an alert that groups series by one of our labels merges them or shows none.
"""

import http.server
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

prometheus, metrics, dashboard, rules = sys.argv[1:]
# What the operator sets for a ServiceMonitor: the name of the port, and the object behind each address.
TARGET = {"namespace": "t", "job": "msteams", "service": "msteams", "pod": "a", "container": "msteams", "endpoint": "diag"}
# Of a series that counts, two samples are the least that `increase` needs.
SCRAPES = 4
PATIENCE = 60

served = Path(metrics).read_text().split("---\n", 2)[2].encode()


class Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.end_headers()
        self.wfile.write(served)

    def log_message(self, *_):
        pass


def ask(base, path, **query):
    with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
        return json.load(answer)["data"]


def wait_for(what, probe):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if found := probe():
                return found
        except OSError:
            pass
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what} took longer than {PATIENCE} s")
        time.sleep(0.1)


def queries():
    """Returns every query that groups series by our labels, with those labels."""
    for panel in json.loads(Path(dashboard).read_text())["panels"]:
        for target in panel.get("targets", []):
            query = re.sub(r"\$__rate_interval", "1m", target["expr"])
            query = re.sub(r"\$[a-z]+", ".*", query)
            yield f"panel {panel['title']}", query, set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    for block in re.split(r"- alert: ", Path(rules).read_text())[1:]:
        for by, name in re.findall(r"by \(([^)]*)\) \(increase\((\w+)\[", block):
            labels = set(by.split(", "))
            yield f"alert {block.split()[0]}", f"sum by ({by}) (increase({name}[1m]))", labels


def labels_of(name):
    return [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in served.decode().splitlines() if re.match(name + r"\b", line)]


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
threading.Thread(target=server.serve_forever, daemon=True).start()
failed = 0
with tempfile.TemporaryDirectory() as folder:
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {
                "job_name": "msteams",
                "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"], "labels": TARGET}],
            }
        ],
    }
    Path(folder, "prometheus.yml").write_text(json.dumps(config))
    log = Path(folder, "log")
    with log.open("w") as output:
        running = subprocess.Popen(
            [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--web.listen-address=127.0.0.1:0"],
            stdout=output,
            stderr=output,
        )
    try:
        found = wait_for("Prometheus' start", lambda: re.search(r'"?Listening on"? address=(\S+:[1-9]\d*)', log.read_text()))
        base = f"http://{found[1]}"
        counted = f"count_over_time(teleport_msteams_build_info[1m]) >= {SCRAPES}"
        wait_for("a scrape", lambda: ask(base, "query", query=counted)["result"])
        for label in ask(base, "labels"):
            if label.startswith("exported_"):
                print(f"FAILED: {label}: a label of ours has the name of one of the target's")
                failed = 1
        asked = 0
        for what, query, labels in queries():
            ours = labels - set(TARGET) - {"instance"}
            name = re.search(r"teleport_msteams_\w+", query)[0]
            expected = {tuple(sorted((label, series.get(label, "")) for label in ours)) for series in labels_of(name)}
            if not ours:
                continue
            shown = ask(base, "query", query=query)["result"]
            shown = sorted(tuple(sorted((label, series["metric"].get(label, "")) for label in ours)) for series in shown)
            if shown != sorted(expected):
                print(f"FAILED: {what}: shows {shown}, and {sorted(expected)} is served")
                failed = 1
            asked += 1
        print(f"{asked} queries keep their series apart under the operator's labels")
        if asked < 10:
            sys.exit("FAILED: too few queries were found")
    finally:
        running.terminate()
        running.wait()
sys.exit(failed)
