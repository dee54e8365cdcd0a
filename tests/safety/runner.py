"""One case from its account to its differences."""

import time
import uuid
from pathlib import Path
from typing import Any

from tests.safety import compare, names
from tests.safety.case import Case, Expect, RawFile, Step, articles, persons, rows, split_name
from tests.safety.world import TENANT, Found, Impossible, Json, World, until

from job_events.chains import CHAINS
from job_events.events import Then
from sandbox.shops import DEPOTS, LOCATIONS

ITEM_SECONDS = 30.0
"""The projection of items may be behind that of jobs by this much before an expected item counts as missing."""
_SIDES = (("hub", "nhanh"), ("shop", "shopify"))
_PULLS = ("pull_nhanh", "pull_shopify")
_USUAL_SETTINGS: Json = {
    "depot_locations": {str(depot): str(at) for (depot, _), (at, _) in zip(DEPOTS, LOCATIONS, strict=True)},
    # Metafields are written for every linked customer; a case about them switches them on.
    "write": {"metafields": False},
}
_FAST = {"restore_rate": 1000}


class Runner:
    """Runs one case in an account of its own."""

    def __init__(self, world: World, case: Case, folder: Path) -> None:
        self._world, self._case, self._folder = world, case, folder
        self._account = f"{case.id}-{uuid.uuid4().hex[:6]}"
        self._settings = _laid_over(_USUAL_SETTINGS, case.settings)
        self._results: list[dict[str, Json]] = []
        self._seen = 0

    def run(self) -> list[str]:
        """The differences, step by step; none means that the case holds."""
        try:
            lines = self._create()
        except Impossible as error:
            return [f"the account could not be made: {error}"]
        for number, step in enumerate(self._case.steps, start=1):
            try:
                found = self._step(step)
                differences = self._differences(step.expect, found)
            except Impossible as error:
                differences = [f"the step could not be carried out: {error}"]
            if differences:
                lines += [f"step {number}:", *(f"  {one}".replace("\n", "\n  ") for one in differences)]
                break  # what follows builds on this step
        return lines

    # --- the account

    def _create(self) -> list[str]:
        sides = {"nhanh": self._case.nhanh, "shopify": self._case.shopify}
        sources = {platform: self._source(platform, side) for platform, side in sides.items()}
        made = self._world.control("POST", "shops", {"account": self._account, **sources})
        self._switch("shopify", _FAST)
        for platform, changes in self._case.switches.items():
            self._switch(platform, changes)
        self._store_settings()
        lines: list[str] = []
        for platform, side in sides.items():
            shop = made[platform]
            names_ = (TENANT, self._account, platform)
            self._world.accounts.put_connection(*names_, shop["base_url"], shop["credentials"])
            if isinstance(side, RawFile):
                lines += _rejected(platform, side.rejects, shop["report"]["skipped"])
        return lines

    def _source(self, platform: str, side: str | RawFile) -> Json:
        if isinstance(side, RawFile):
            path = self._folder / f"{self._account}-{platform}.csv"
            path.write_bytes(side.file.encode())
            return {"path": str(path), "customers": []}
        given = rows(side)
        if self._case.kind == "product":
            return {"products": articles(given), "customers": []}
        return {"products": [], "customers": persons(given)}

    def _store_settings(self) -> None:
        self._world.accounts.put_account(TENANT, self._account, self._settings)

    def _switch(self, platform: str, changes: Json) -> None:
        self._world.control("PATCH", f"shops/{self._account}/{platform}", changes)

    # --- one step

    def _step(self, step: Step) -> Found:
        if step.settings:
            self._settings = _laid_over(self._settings, step.settings)
            self._store_settings()
        for platform, changes in step.switches.items():
            self._switch(platform, changes)
        self._edit(step)
        for fault in step.faults:
            self._world.control("POST", "faults", {"account": self._account, **fault})
        self._decide(step.decide)
        found = Found(jobs=self._run_chain(step) if step.run == "chain" else self._run_list(step, step.run))
        self._results.append(found.jobs)
        found.calls = self._world.calls(self._account, self._seen)
        self._seen = found.calls[-1]["seq"] if found.calls else self._seen
        accepted = [item for call in found.calls for item in call["items"] if item["outcome"] == "accepted"]
        for item in accepted:
            for name, value in names.written_fields(item).items():
                found.writes.setdefault(names.shop_name(item["id"]), {}).setdefault(name, []).append(value)
        return found

    def _edit(self, step: Step) -> None:
        kind = self._case.kind
        for side, platform in _SIDES:
            new: str = getattr(step, f"{side}_new")
            made = articles(rows(new)) if kind == "product" else persons(rows(new))
            for record in made:
                self._world.control("PUT", f"records/{self._account}/{platform}/{kind}", record)
            for name in getattr(step, f"{side}_gone"):
                record_kind, number = names.place_of(name) or (kind, int(name))
                self._world.control("DELETE", f"records/{self._account}/{platform}/{record_kind}/{number}")
            for name, fields in getattr(step, side).items():
                for record_kind, edit in _edits(platform, kind, name, fields):
                    path = f"records/{self._account}/{platform}/{record_kind}"
                    self._world.control("POST", path, {**edit, "at": int(time.time())})

    def _decide(self, decisions: dict[str, str | None]) -> None:
        """A person's word: a link, or (null) none."""
        for left, right in decisions.items():
            params: Json = {"kind": self._case.kind, "hub_id": names.hub_id(left)}
            if right is None:
                params["action"] = "delete"
            else:
                params |= {"action": "create", "remote_id": names.shop_gid(right, self._case.kind)}
            job = self._world.finished(self._world.request(self._account, "EDIT_MATCH", params=params))
            if job["outcome"] != "success":
                raise Impossible(f"the decision on {left} ended as {job['outcome']}: {job['error']}")

    # --- jobs

    def _run_chain(self, step: Step) -> dict[str, Json]:
        chain, chain_id = CHAINS[f"{self._case.kind}s"], str(uuid.uuid4())
        pull = step.params.get("pull", {})
        by_type = {names.job_type(name, self._case.kind): name for name in (*_PULLS, "match", "sync")}
        then = [self._filled(one, step.params) for one in chain.then]
        for job in chain.first:
            params = self._resolved(by_type[job.type], pull | step.params.get(by_type[job.type], {}))
            self._world.request(self._account, job.type, params=params, then=then, chain=chain_id)
        ended = self._world.finished_chain(chain_id, set(by_type))
        return {names.job_name(job["type"]): job for job in ended}

    def _filled(self, then: Then, params: dict[str, Json]) -> Json:
        name = names.job_name(then.type)
        return {
            "type": then.type,
            "needs": list(then.needs),
            "params": self._resolved(name, params.get(name, {})),
            "then": [self._filled(one, params) for one in then.then],
        }

    def _run_list(self, step: Step, wanted: list[str | dict[str, Json]]) -> dict[str, Json]:
        jobs: dict[str, Json] = {}
        for entry in wanted:
            ((name, own),) = entry.items() if isinstance(entry, dict) else ((entry, {}),)
            together = _PULLS if name == "pull" else (name,)
            requested: list[tuple[str, str]] = []
            for one in together:
                params = self._resolved(one, step.params.get(name, {}) | step.params.get(one, {}) | own)
                type_ = names.job_type(one, self._case.kind)
                requested.append((one, self._world.request(self._account, type_, params=params)))
            for one, job_id in requested:
                times = sum(key.partition("#")[0] == one for key in jobs)
                jobs[f"{one}#{times + 1}" if times else one] = self._world.finished(job_id)
        return jobs

    def _resolved(self, name: str, params: Json) -> Json:
        """`{token_of: 2}` as the plan token that the same job got in step 2; `{job_of: 2}` as the sync's id."""
        result: Json = {}
        for key, value in params.items():
            if isinstance(value, dict) and "token_of" in value:
                result[key] = self._earlier(value["token_of"], name)["metadata"].get("planToken")
                if result[key] is None:
                    raise Impossible(f"{name} of step {value['token_of']} handed out no planToken")
            elif isinstance(value, dict) and "job_of" in value:
                result[key] = self._earlier(value["job_of"], "sync")["job_id"]
            else:
                result[key] = value
        return result

    def _earlier(self, step: Any, name: str) -> Json:
        found = self._results[int(step) - 1].get(name)
        if found is None:
            raise Impossible(f"step {step} ran no {name}")
        return found

    # --- what came of it

    def _differences(self, expect: Expect, found: Found) -> list[str]:
        lines = compare.writes(expect.writes, found.writes)
        for name in [*found.jobs, *(name for name in expect.jobs if name not in found.jobs)]:
            lines += compare.job(name, expect.jobs.get(name, "success"), found.jobs.get(name))
        lines += self._item_differences(expect, found)
        if expect.links is not None or expect.reviews is not None:
            matches = self._world.matches(self._account, self._case.kind)
            lines += [] if expect.links is None else compare.links(expect.links, matches)
            lines += [] if expect.reviews is None else compare.reviews(expect.reviews, matches)
        if expect.holds:
            lines += compare.holds(expect.holds, self._held_by_shop())
        for text, ids in expect.find.items():
            hits = self._world.hub_ids(self._account, self._case.kind, text)
            wanted = sorted(map(names.hub_id, ids))
            if hits != wanted:
                lines.append(compare.line(f"search for {text!r}", ", ".join(wanted), ", ".join(hits)))
        if expect.waits is not None:
            for _, platform in _SIDES:
                calls = [call for call in found.calls if call["platform"] == platform]
                lines += compare.waits(expect.waits, calls)
        return lines

    def _item_differences(self, expect: Expect, found: Found) -> list[str]:
        if not expect.items and expect.held is None:
            return []
        written = [job for name, job in found.jobs.items() if name.partition("#")[0] in {"sync", "revert"}]
        job = (written or list(found.jobs.values()))[-1]
        lines: list[str] = []

        def told() -> bool:
            lines[:] = compare.items(expect, self._world.items(job["job_id"]))
            return not lines

        try:
            until(told, "the items", ITEM_SECONDS)
        except Impossible:
            return lines
        return []

    def _held_by_shop(self) -> dict[str, dict[str, str]]:
        if self._case.kind == "customer":
            customers = self._world.records(self._account, "shopify", "customer")
            return {str(doc["_number"]): names.customer_values(doc) for doc in customers}
        variants = self._world.records(self._account, "shopify", "variant")
        return {names.shop_name(doc["id"]): names.variant_values(doc) for doc in variants}


def _laid_over(settings: Json, changes: Json) -> Json:
    """`write` is laid over field by field, every other setting is replaced."""
    merged = {**settings, **changes}
    if "write" in changes:
        merged["write"] = {**settings.get("write", {}), **changes["write"]}
    return merged


def _rejected(platform: str, expected: dict[str, str], skipped: list[Json]) -> list[str]:
    found = {str(one["line"]): one["reason"] for one in skipped}
    return [
        compare.line(f"{platform} file, line {number}", expected.get(number), found.get(number))
        for number in sorted({*expected, *found}, key=int)
        if number not in expected or number not in found or not compare.contains(expected[number], found[number])
    ]


def _edits(platform: str, kind: str, name: str, fields: Json) -> list[tuple[str, Json]]:
    """(record kind, edit) of what a case changes; `set` is laid over the platform's own document as it is."""
    own: Json = dict(fields.get("set", {}))
    stock = {
        str(places[position]): fields[field]
        for position, field in enumerate(names.PLACES)
        for places in ([at for at, _ in (DEPOTS if platform == "nhanh" else LOCATIONS)],)
        if field in fields
    }
    plain = {key: value for key, value in fields.items() if key not in {"set", *names.PLACES}}
    if kind == "customer":
        return [(kind, {"id": int(name), "set": own | _customer_document(platform, plain)})]
    if platform == "nhanh":
        document = own | _renamed(plain, {"title": "name", "sku": "code"})
        if "price" in document:
            document["prices"] = {**document.get("prices", {}), "retail": document.pop("price")}
        edit: Json = {"id": int(names.hub_id(name)), "set": document, "stock": stock}
        return [("product", edit)]
    edits: list[tuple[str, Json]] = []
    if "title" in plain:
        edits.append(("product", {"id": int(name.partition("/")[0]), "set": {"title": plain.pop("title")}}))
    if "price" in plain:
        plain["price"] = f"{plain['price']:.2f}"
    if plain or own or stock:
        edits.append(("variant", {"id": names.variant_number(name), "set": own | plain, "stock": stock}))
    return edits


def _renamed(fields: Json, forms: dict[str, str]) -> Json:
    return {forms.get(key, key): value for key, value in fields.items()}


def _customer_document(platform: str, fields: Json) -> Json:
    if platform == "nhanh":
        return _renamed(fields, {"phone": "mobile"})
    document: Json = {}
    for key, value in fields.items():
        if key == "name":
            document["lastName"], document["firstName"] = split_name(value)
        elif key == "phone":
            document["defaultPhoneNumber"] = {"phoneNumber": value} if value else None
        elif key == "email":
            document["defaultEmailAddress"] = {"emailAddress": value} if value else None
        else:
            document[key] = value
    return document


def described(case: Case) -> str:
    """A case's head line for a failure."""
    return f"{case.clause} {case.id}: {case.why.strip()}"
