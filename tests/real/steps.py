"""What happens to requests, and what the reviewers have to see. Each step works alone, and leaves both sides running."""

import json

from daemon import AFTER_OUTAGE, REVIEWERS, SOON
from parts import Skipped, until
from teleport import BOT, Refused

# "Grüße" as a terminal sends it that is set to Latin-1: not UTF-8.
LATIN_1 = b"Gr\xfc\xdfe"
# How the same text is shown.
SHOWN = "Gr\ufffd\ufffde"
# How soon the daemon has to report that Teleport refuses it.
REPORTED = 15


class Steps:
    def __init__(self, teleport, daemon):
        self.teleport, self.daemon = teleport, daemon
        # The last word of every request that the steps are done with.
        self.final = {}

    def all(self):
        """Returns the steps in order, each with its name."""
        own = [(name.removeprefix("step_"), getattr(self, name)) for name in vars(Steps) if name.startswith("step_")]
        return own

    def done(self, request, word, seconds=SOON, text=""):
        self.daemon.shows(request, word, seconds, text)
        self.final[request] = word

    def announced(self, reason, text="", seconds=SOON, user="bob"):
        request = self.teleport.request(reason, user)
        self.final[request] = "PENDING"
        self.daemon.shows(request, "PENDING", seconds, text)
        return request

    def approve(self, request, reason="yes"):
        reason = reason if isinstance(reason, bytes) else reason.encode()
        self.teleport.tctl("requests", "approve", b"--reason=" + reason, request)
        self.final[request] = "APPROVED"

    def deny(self, request):
        self.teleport.tctl("requests", "deny", "--reason=no", request)
        self.final[request] = "DENIED"

    def remove(self, request):
        self.teleport.tctl("requests", "rm", request)
        self.final[request] = "EXPIRED"

    def step_create(self):
        """a request is announced to each reviewer"""
        self.announced("the index is broken", text="the index is broken")

    def step_review(self):
        """reviews are shown, and the second approval resolves the request"""
        if not self.teleport.takes_reviews:
            raise Skipped("this Teleport has no advanced workflows")
        request = self.announced("two have to approve", user="carol")
        self.teleport.tctl("requests", "review", f"--author={REVIEWERS[0]}", "--approve", request)
        self.daemon.shows(request, "PENDING", text=REVIEWERS[0])
        self.teleport.tctl("requests", "review", f"--author={REVIEWERS[1]}", "--approve", request)
        self.done(request, "APPROVED")

    def step_approve(self):
        """an approval is shown, with its reason"""
        request = self.announced("approve me")
        self.approve(request, "because of the outage")
        self.done(request, "APPROVED", text="because of the outage")

    def step_deny(self):
        """a denial is shown"""
        request = self.announced("deny me")
        self.deny(request)
        self.done(request, "DENIED")

    def step_remove(self):
        """a pending request that is deleted is shown as expired"""
        request = self.announced("delete me")
        self.remove(request)
        self.done(request, "EXPIRED")

    def step_restart(self):
        """what happened while the daemon was down is caught up on"""
        self.catches_up(self.daemon.stop)

    def step_kill(self):
        """the same after the daemon was killed"""
        self.catches_up(self.daemon.process.kill)

    def catches_up(self, end):
        old = [self.announced(f"made before, {what}") for what in ("approved", "denied", "untouched")]
        end()
        self.approve(old[0])
        self.deny(old[1])
        new = self.teleport.request("made while the daemon is down")
        early = self.teleport.request("made and resolved while the daemon is down")
        self.approve(early)
        self.daemon.start()
        self.done(old[0], "APPROVED")
        self.done(old[1], "DENIED")
        self.done(old[2], "PENDING")
        self.done(new, "PENDING")
        # It never had a card, and receives none.
        del self.final[early]
        until(SOON, lambda: "it was resolved, and has cards" if self.daemon.tenant.cards(early) else None)

    def step_teleport_restart(self):
        """Teleport restarts, and the daemon reconnects"""
        self.reconnects(self.teleport.process.stop)

    def step_teleport_kill(self):
        """the same after Teleport was killed"""
        self.reconnects(self.teleport.process.kill)

    def reconnects(self, end):
        request = self.announced("made before Teleport ends")
        end()
        self.teleport.start()
        # The daemon may not have reconnected yet.
        self.approve(request)
        new = self.teleport.request("made right after Teleport starts")
        self.done(request, "APPROVED", AFTER_OUTAGE)
        self.done(new, "PENDING", AFTER_OUTAGE)

    def step_poison(self):
        """text that is not UTF-8 affects no other request, neither live nor after restarts"""
        try:
            poisoned = self.teleport.request(LATIN_1)
        except Refused as error:
            raise Skipped(f"this Teleport refuses such text ({error})") from None
        try:
            self.announced("made right after")
            self.daemon.shows(poisoned, "PENDING", text=SHOWN)
            self.final[poisoned] = "PENDING"
            new = []
            self.daemon.restart(lambda: new.append(self.teleport.request("made while the daemon is down")))
            self.done(new[0], "PENDING")
            self.announced("made after the restart")
            self.reconnects(self.teleport.process.kill)
            self.approve(poisoned, LATIN_1)
            self.done(poisoned, "APPROVED", text=SHOWN)
            self.announced("made after the approval")
            self.daemon.restart()
        finally:
            # The steps after this one are about something else.
            self.teleport.tctl("requests", "rm", "--force", poisoned)
        # What was granted, and ends, keeps its card.
        self.announced("made after the end")
        self.done(poisoned, "APPROVED")

    def step_user_deleted(self):
        """the daemon reports that its own user was deleted, and goes on when the user is back"""
        self.refused(
            lambda: self.teleport.tctl("users", "rm", BOT),
            self.teleport.put_bot,
            [f'user "{BOT}" is not found'],
        )

    def step_user_locked(self):
        """the daemon reports that its own user is locked, and goes on when the lock is gone"""
        self.refused(self.lock, self.unlock, ["locked", "lock in force"])

    def lock(self):
        try:
            self.teleport.tctl("lock", f"--user={BOT}", "--ttl=1h")
        except Refused as error:
            raise Skipped(f"this Teleport cannot lock users ({error})") from None

    def unlock(self):
        for lock in json.loads(self.teleport.tctl("get", "lock", "--format=json")):
            self.teleport.tctl("rm", f"lock/{lock['metadata']['name']}")

    def refused(self, begin, end, words):
        """Teleport refuses the daemon from `begin` to `end`."""
        old = self.announced("made before")
        mark = self.daemon.process.mark()
        begin()
        try:
            new = self.teleport.request("made while Teleport refuses the daemon")
            self.approve(old)
            self.daemon.warns(mark, words, REPORTED)
        finally:
            end()
        self.done(new, "PENDING", AFTER_OUTAGE)
        self.done(old, "APPROVED", AFTER_OUTAGE)
        self.announced("made after")

    def step_proxy(self):
        """the daemon works through the Proxy too"""
        self.daemon.stop()
        self.daemon.connect_to(self.teleport.proxy)
        self.daemon.start()
        request = self.announced("made behind the Proxy")
        self.approve(request)
        self.done(request, "APPROVED")
        self.reconnects(self.teleport.process.kill)

    def step_all_cards(self):
        """every card of this run is current, none is there twice, and the daemon ends when it is asked to"""
        for request, word in self.final.items():
            self.daemon.shows(request, word)
        self.daemon.restart()
        for request, word in self.final.items():
            self.daemon.shows(request, word, 1)
