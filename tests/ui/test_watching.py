"""Metrics, the status answer, request ids and log lines."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from loop_studio import logs
from tests.ui.studio import add_group, is_problem

ROOT = Path(__file__).parents[2]
ALERTS = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text(encoding="utf-8"))
NAME = re.compile(r"\bloop_studio_\w+")


def scraped(studio, **headers):
    answer = studio.client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_tell_what_happened(studio):
    add_group(studio)
    group = studio.next_group().json()
    studio.rate(studio.rating(group))
    figures = {"key_to_paint": [40, 90], "wait_for_group": [1200], "outbox_retries": 3}
    assert studio.api("POST", "figures", json=figures).status_code == 204
    found = scraped(studio)
    assert found["loop_studio_ratings_total{}"] == 1
    assert found["loop_studio_rater_key_to_paint_seconds_count{}"] == 2
    assert found["loop_studio_rater_key_to_paint_seconds_sum{}"] == pytest.approx(0.13)
    assert found['loop_studio_rater_wait_for_group_seconds_bucket{"le": "1.5"}'] == 1
    assert found["loop_studio_outbox_retries_total{}"] == 3
    assert found["loop_studio_lost_events_total{}"] == 0
    assert found['loop_studio_worker_state{"state": "none"}'] == 1
    assert found["loop_studio_database_lock_wait_seconds_count{}"] > 0
    assert found["loop_studio_disk_free_bytes{}"] > 0


def test_requests_are_counted_by_route_and_never_by_path(studio):
    for number in range(3):
        studio.client.get(f"/api/v1/projects/secret-{number}")
        studio.client.get(f"/nothing-{number}")
    studio.client.request("BREW", "/healthz")
    text = studio.client.get("/metrics").text
    assert 'method="GET",route="/api/v1/projects/{id}",status="404"' in text
    assert 'route="other"' in text
    assert 'method="OTHER"' in text
    assert "secret-1" not in text
    assert "nothing-1" not in text


def test_bad_figures_are_refused(studio):
    unknown = studio.api("POST", "figures", json={"key_to_pain": [1]})
    assert "no field called key_to_pain" in is_problem(unknown, 422, "invalid_value")
    for bad in ({"key_to_paint": [-1]}, {"lost_events": 10**9}, {"wait_for_group": [1] * 201}):
        is_problem(studio.api("POST", "figures", json=bad), 422, "invalid_value")
    assert scraped(studio)["loop_studio_rater_key_to_paint_seconds_count{}"] == 0


def test_a_scrapers_token_opens_the_metrics_and_nothing_else(studio_with):
    studio = studio_with(password="correct horse", metrics_token="scrape me")
    token = {"Authorization": "Bearer scrape me"}
    assert scraped(studio, **token)
    is_problem(studio.client.get("/metrics"), 401, "sign_in_required")
    wrong = {"Authorization": "Bearer scrape you"}
    is_problem(studio.client.get("/metrics", headers=wrong), 401, "sign_in_required")
    is_problem(studio.api("GET", "projects", headers=token), 401, "sign_in_required")


def test_the_status_answer_says_what_needs_attention(studio):
    add_group(studio)
    image = studio.next_group().json()["images"][0]["id"]
    studio.api("POST", f"images/{image}/report", json={"rater": "ada"})
    studio.api("POST", "figures", json={"rating_to_durable": [4000] * 30})
    status = studio.api("GET", "status").json()
    told = " ".join(status["attention"])
    assert "The worker is not running" in told
    assert "Reported pictures to decide about in Starter: 1" in told
    assert "until it is stored" in told
    assert status["worker"]["state"] == "none"
    [latency] = status["latencies"]
    assert (latency["name"], latency["count"]) == ("rating_to_durable", 30)
    assert {queue["kind"] for queue in status["queues"]} >= {"rollout", "update"}


def test_every_metric_of_the_alerts_exists_and_every_alarm_is_explained(studio):
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    scraped(studio)  # the first scrape is itself a request to be seen by the next
    exist = {name.partition("{")[0] for name in scraped(studio)}
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert len(rules) >= 10
    for rule in rules:
        named = set(NAME.findall(rule["expr"]))
        assert named, rule
        assert named <= exist, (rule["alert"], named - exist)
        assert f"### {rule['alert']}" in guide


def test_every_answer_carries_the_id_of_its_request(studio):
    first, second = (studio.client.get("/healthz").headers["x-request-id"] for _ in range(2))
    assert first != second
    given = studio.client.get("/healthz", headers={"X-Request-ID": "from-nginx-1"})
    assert given.headers["x-request-id"] == "from-nginx-1"
    bad = studio.client.get("/healthz", headers={"X-Request-ID": 'x"} evil'})
    assert re.fullmatch(r"[0-9a-f]{16}", bad.headers["x-request-id"])


def test_the_access_log_is_json_without_names_and_tokens(studio, caplog, monkeypatch):
    monkeypatch.setattr(logs.ACCESS, "level", logging.INFO)
    with caplog.at_level(logging.INFO, "loop_studio.access"):
        answer = studio.client.get(
            "/api/v1/projects/starter/groups/next?rater=Ada Lovelace",
            headers={"Authorization": "Bearer hush", "Cookie": "loop_session=hush"},
        )
    [record] = [one for one in caplog.records if one.name == logs.ACCESS.name]
    logs.request_id.set(answer.headers["x-request-id"])
    told = json.loads(logs.JsonLines().format(record))
    assert told["route"] == "/api/v1/projects/{id}/groups/next"
    assert (told["method"], told["status"], told["level"]) == ("GET", 204, "info")
    assert told["request_id"] == answer.headers["x-request-id"]
    assert "duration_ms" in told
    assert not re.search("Ada|hush|starter", json.dumps(told))


def test_a_line_says_the_same_in_both_forms():
    record = logging.makeLogRecord({"name": "loop_studio", "levelname": "INFO", "msg": "hello\n"})
    logs.request_id.set("")
    line = logs.JsonLines().format(record)
    assert "\n" not in line
    assert logs.words(line) == "hello\n"
    assert logs.words("2026 INFO hello") == "2026 INFO hello"
    assert logs.words("[1]") == "[1]"
