"""Metrics over HTTP."""

from __future__ import annotations

from prometheus_client import Counter

from tests.support.web import WebRig


async def test_metrics_are_those_of_the_registry() -> None:
    rig = WebRig()
    Counter("styleflow_things", "Things.", registry=rig.registry).inc(3)
    async with rig.client() as http:
        assert "styleflow_things_total 3.0" in (await http.get("/metrics")).text


async def test_metrics_are_told_of_the_part_that_is_asked_for() -> None:
    rig = WebRig()
    Counter("styleflow_things", "Things.", registry=rig.registry).inc(3)
    async with rig.client() as http:
        assert "styleflow_things_total" in (await http.get("/metrics?of=gateway")).text
        assert "styleflow_things_total" not in (await http.get("/metrics?of=workers")).text
        assert (await http.get("/metrics?of=nobody")).status_code == 422
