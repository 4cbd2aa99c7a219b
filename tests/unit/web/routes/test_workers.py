"""Workers over HTTP: who they are, how they fare, and draining them."""

from __future__ import annotations

from dataclasses import replace

from stream.store.access import DirectStore
from stream.store.database import Database
from tests.support.machines import PlayedMachines, table, worker
from tests.support.web import WebRig, lobby, problem
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

VIEWER = "viewers-know-this-one"


async def test_one_process_says_that_it_does_everything_itself() -> None:
    rig = await lobby()
    async with rig.client() as http:
        said = (await http.get("/api/v1/workers")).json()
        status = (await http.get("/api/v1/streams/lobby/status")).json()
    assert not said["several"]
    [only] = said["workers"]
    assert (only["name"], only["streams"], only["alive"]) == ("this process", ["lobby"], True)
    assert only["health"] == {"device": "answers"}
    assert status["worker"] == ""


async def test_one_process_refuses_to_be_drained() -> None:
    async with WebRig().client() as http:
        refused = problem(await http.put("/api/v1/workers/this%20process/drain"), 409)
        problem(await http.put("/api/v1/workers/worker-1/drain"), 404)
    assert refused["code"] == "only_worker"
    assert "--workers" in refused["hint"]


async def test_workers_are_listed_by_machine_and_name() -> None:
    machines = PlayedMachines(
        table(
            worker("worker-3", "lobby", node="north-2"),
            replace(worker("worker-2"), busy=1.2, degradation=2),
            worker("worker-1", "door", "gate"),
            waiting=("yard",),
        )
    )
    rig = await lobby(machines=machines)
    async with rig.client() as http:
        said = (await http.get("/api/v1/workers")).json()
        status = (await http.get("/api/v1/streams/lobby/status")).json()
    assert said["several"]
    assert [each["name"] for each in said["workers"]] == ["worker-1", "worker-2", "worker-3"]
    first, second, _ = said["workers"]
    assert (first["node"], first["streams"]) == ("north-1", ["door", "gate"])
    assert (first["overload"], first["labels"]) == ("none", {"site": "north"})
    assert (second["overload"], second["busy"]) == ("longer_hop", 1.0)
    assert said["waiting"] == [{"id": "yard", "why": "every worker is full"}]
    done = {"moves": 3, "deaths": 1, "adoptions": 0, "refusals": 2, "inherited": 4}
    assert said["counts"] == done
    assert status["worker"] == "worker-3"


async def test_a_worker_is_drained_and_taken_back() -> None:
    machines = PlayedMachines(table(worker("worker-1", "lobby"), worker("worker-2")))
    async with WebRig(machines=machines).client() as http:
        drained = (await http.put("/api/v1/workers/worker-1/drain")).json()
        back = (await http.delete("/api/v1/workers/worker-1/drain")).json()
        unknown = problem(await http.put("/api/v1/workers/worker-9/drain"), 404)
    assert (drained["name"], drained["draining"], back["draining"]) == ("worker-1", True, False)
    assert machines.drained == [("worker-1", True), ("worker-1", False)]
    assert unknown["code"] == "worker_unknown"


async def test_a_worker_is_drained_by_force_only_when_that_is_asked_for() -> None:
    machines = PlayedMachines(table(worker("worker-1", "lobby"), worker("worker-2")))
    async with WebRig(machines=machines).client() as http:
        await http.put("/api/v1/workers/worker-2/drain")
        await http.put("/api/v1/workers/worker-1/drain?force=true")
    assert machines.forced == ["worker-1"]


async def test_workers_that_were_started_with_other_settings_are_said_to_be_outdated() -> None:
    machines = PlayedMachines(table(worker("worker-1"), worker("worker-2", made_of="old")))
    async with WebRig(machines=machines).client() as http:
        said = (await http.get("/api/v1/workers")).json()["workers"]
    assert [each["outdated"] for each in said] == [False, True]


async def test_who_drained_a_worker_is_in_the_audit_log(database: Database) -> None:
    machines = PlayedMachines(table(worker("worker-1"), worker("worker-2")))
    rig = WebRig(machines=machines, store=DirectStore(database.engine))
    async with rig.client() as http:
        await http.put("/api/v1/workers/worker-1/drain")
        await http.delete("/api/v1/workers/worker-1/drain")
        problem(await http.put("/api/v1/workers/worker-9/drain"), 404)
        entries = (await http.get("/api/v1/audit?subject=worker/worker-1")).json()["entries"]
        others = (await http.get("/api/v1/audit?subject=worker/worker-9")).json()["entries"]
    assert [(each["action"], each["by"]) for each in entries] == [
        ("worker.undrained", "local"),
        ("worker.drained", "local"),
    ]
    assert others == []


async def test_a_reader_may_look_at_workers_and_not_drain_them() -> None:
    machines = PlayedMachines(table(worker("worker-1"), worker("worker-2")))
    tokens = (Token(TokenDigest(VIEWER), Role.VIEWER, "bert"),)
    async with WebRig(WebSettings(tokens=tokens), machines=machines).client(VIEWER) as http:
        assert (await http.get("/api/v1/workers")).status_code == 200
        problem(await http.put("/api/v1/workers/worker-1/drain"), 403)
        problem(await http.delete("/api/v1/workers/worker-1/drain"), 403)
    assert machines.drained == []
