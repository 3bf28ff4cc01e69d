"""Every card fits the official schemas of its version of Adaptive Cards and of 1.5, and what they do not check."""

import importlib.resources
import json
import sys

import jsonschema

schemas = importlib.resources.files("adaptive_cards") / "schemas"
validators = {
    version: jsonschema.Draft6Validator(json.loads((schemas / f"schema-{version}.json").read_text()))
    for version in ("1.2", "1.4", "1.5")
}


def links(value):
    """Returns the address of every Action.OpenUrl, wherever it is nested."""
    if isinstance(value, list):
        return [link for item in value for link in links(item)]
    if not isinstance(value, dict):
        return []
    own = [value["url"]] if value.get("type") == "Action.OpenUrl" else []
    return own + links(list(value.values()))


def has_buttons(card):
    """Returns whether the card needs version 1.4."""
    return '"Action.Execute"' in json.dumps(card)


findings = 0
count = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        entry = json.loads(line)
        card = entry["card"]
        count += 1
        size = len(json.dumps(card, ensure_ascii=False).encode("utf-16-le"))
        # Only Teams knows it; cards.cjs checks it.
        card.pop("msteams", None)
        texts = []
        # The schemas are slow and the random cards are alike, so a part of them is enough.
        lowest = "1.4" if has_buttons(card) else "1.2"
        for version, validator in validators.items() if count <= 120 else ():
            for fault in validator.iter_errors(card) if version >= lowest else ():
                texts.append(f"{version}: {list(fault.absolute_path)}: {fault.message[:200]}")
        if card["version"] != lowest:
            texts.append(f"version {card['version']}, not {lowest}")
        if lowest != "1.2" and not all(link in card["fallbackText"] for link in links(card)):
            texts.append("old clients do not show the link")
        if not card["fallbackText"] or not entry["summary"]:
            texts.append("no fallbackText or no summary")
        for link in links(card):
            pages = ("teleport.example.com/web/requests", "teleport.example.com/web/accesslists", "teams.microsoft.com/l/message")
            if not link.startswith(tuple(f"https://{page}/" for page in pages)):
                texts.append(f"links to {link}")
        if size > 80_000:
            texts.append(f"{size} bytes of UTF-16")
        for text in texts:
            findings += 1
            if findings <= 10:
                print(f"FAILED: {entry['name']}: {text}")
if findings == 0:
    print(f"ok: {count} cards have what they need, and the first {min(count, 120)} fit the official schemas")
sys.exit(1 if findings else 0)
