"""The pinned contract against the OpenAPI document: routes, fields and values may only be added."""

from __future__ import annotations

import pytest

PINNED_ROUTES = {
    "GET /healthz": {200, 503},
    "GET projects": {200},
    "POST projects": {201},
    "GET projects/{id}": {200},
    "PATCH projects/{id}": {200},
    "GET projects/{id}/prompts": {200},
    "PUT projects/{id}/prompts": {200},
    "GET projects/{id}/status": {200},
    "GET projects/{id}/groups/next": {200, 204},
    "GET groups/{id}": {200},
    "GET images/{id}": {200},
    "POST ratings": {200},
    "POST ratings/{event_id}/undo": {200},
    "POST projects/{id}/updates": {202},
    "GET projects/{id}/updates": {200},
    "GET updates/{id}": {200},
    "POST updates/{id}/cancel": {202},
    "GET projects/{id}/reward": {200},
    "PUT projects/{id}/reward": {200},
    "GET rewards": {200},
    "GET projects/{id}/versions": {200},
    "POST versions/{id}/activate": {200},
    "GET versions/{id}/lora": {200},
    "POST projects/{id}/samples": {202},
    "GET samples/{id}": {200},
    "GET projects/{id}/ratings.jsonl": {200},
    "GET projects/{id}/ratings.csv": {200},
    "GET projects/{id}/ratings.parquet": {200},
}
PINNED_ANSWERS = {
    "GET /healthz": "status release database worker",
    "GET projects": "projects",
    "POST projects": "id name model archived settings created_at",
    "GET projects/{id}": "id name model archived settings created_at",
    "PATCH projects/{id}": "id name model archived settings created_at",
    "GET projects/{id}/prompts": "prompts",
    "PUT projects/{id}/prompts": "prompts",
    "GET projects/{id}/status": (
        "project_id live_version ready_groups generating_groups next_group_eta_s generation "
        "generation_reason ratings rated_groups usable_groups min_groups auto_update_groups "
        "active_update_id can_update can_update_reason worker"
    ),
    "GET projects/{id}/groups/next": "id kind prompt version images",
    "POST ratings": (
        "event_id group_id rater mode judgement status usable reason rewards advantages "
        "used_by_update_id created_at"
    ),
    "POST ratings/{event_id}/undo": (
        "event_id group_id rater mode judgement status usable reason rewards advantages "
        "used_by_update_id created_at"
    ),
    "POST projects/{id}/updates": (
        "id number status cancel_requested phase step steps eta_s groups ratings version_id "
        "version made_live error created_at started_at finished_at"
    ),
    "GET projects/{id}/updates": "updates",
    "GET projects/{id}/reward": "human models",
    "PUT projects/{id}/reward": "human models",
    "GET rewards": "rewards",
    "GET projects/{id}/versions": "versions",
    "POST versions/{id}/activate": ("id number parent_id update_id live name created_at metrics"),
    "POST projects/{id}/samples": "id status",
    "GET samples/{id}": "id status images",
}
PINNED_BODIES = {
    "POST projects": ("name model prompts settings", "name"),
    "PATCH projects/{id}": ("settings", ""),
    "PUT projects/{id}/prompts": ("prompts", "prompts"),
    "POST ratings": (
        "event_id group_id rater mode judgement order elapsed_ms",
        "event_id group_id rater mode judgement",
    ),
    "PUT projects/{id}/reward": ("human models", ""),
    "POST projects/{id}/samples": ("prompts seeds version settings", "prompts seeds"),
    "POST ratings/{event_id}/undo": ("", ""),
    "POST projects/{id}/updates": ("", ""),
    "POST updates/{id}/cancel": ("", ""),
    "POST versions/{id}/activate": ("", ""),
}
PINNED_PARTS = {
    "Prompt": "id text unknown_words",
    "GroupImage": "id url width height",
    "SampleImage": "prompt seed version id url",
    "RewardModel": "name description available reason",
    "UpdateError": "code detail",
    "WorkerState": "state device heartbeat_age_s",
}
PINNED_QUERIES = {
    "GET /healthz": "require",
    "GET projects/{id}/groups/next": "rater exclude kinds",
    "GET projects/{id}/updates": "limit before",
    "GET versions/{id}/lora": "format",
}
PINNED_VALUES = {
    ("Update", "status"): "queued running paused succeeded failed cancelled",
    ("Rating", "status"): "active superseded undone",
    ("Rating", "mode"): "best stars good rank pair skip",
    ("ProjectStatus", "generation"): "running idle paused",
    ("Group", "kind"): "group repeat pair",
    ("WorkerState", "state"): "none starting ready busy lost",
}


@pytest.fixture(scope="module")
def document(reader):
    answer = reader.client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operation(document, route):
    method, _, path = route.partition(" ")
    path = path if path.startswith("/") else f"/api/v1/{path}"
    return document["paths"][path][method.lower()]


def resolved(document, schema):
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


@pytest.mark.parametrize(("route", "statuses"), PINNED_ROUTES.items())
def test_every_pinned_route_answers_as_pinned(document, route, statuses):
    assert {str(status) for status in statuses} <= set(operation(document, route)["responses"])


@pytest.mark.parametrize(("route", "fields"), PINNED_ANSWERS.items())
def test_every_pinned_answer_has_its_fields(document, route, fields):
    responses = operation(document, route)["responses"]
    success = next(responses[status] for status in sorted(responses) if status < "204")
    schema = resolved(document, success["content"]["application/json"]["schema"])
    assert set(fields.split()) <= set(schema["properties"])
    assert set(fields.split()) <= set(schema["required"])


@pytest.mark.parametrize(("route", "body"), PINNED_BODIES.items())
def test_every_pinned_body_takes_its_fields_and_no_other(document, route, body):
    fields, required = (set(part.split()) for part in body)
    content = operation(document, route)["requestBody"]["content"]
    assert list(content) == ["application/json"]
    schema = resolved(document, content["application/json"]["schema"])
    assert fields <= set(schema.get("properties", {}))
    assert set(schema.get("required", [])) == required
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(("name", "fields"), PINNED_PARTS.items())
def test_every_pinned_part_has_its_fields(document, name, fields):
    schema = document["components"]["schemas"][name]
    assert set(fields.split()) <= set(schema["required"])


@pytest.mark.parametrize(("route", "names"), PINNED_QUERIES.items())
def test_every_pinned_query_is_taken(document, route, names):
    parameters = operation(document, route)["parameters"]
    found = {part["name"] for part in parameters if part["in"] == "query"}
    assert set(names.split()) <= found


@pytest.mark.parametrize(("place", "values"), PINNED_VALUES.items())
def test_every_pinned_value_is_named(document, place, values):
    name, field = place
    schema = document["components"]["schemas"][name]["properties"][field]
    assert set(values.split()) <= set(schema["enum"])


def test_every_error_is_documented_in_its_one_shape(document):
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            if path == "/healthz":
                continue
            errors = {status for status in described["responses"] if status >= "400"}
            assert {"400", "404", "422"} <= errors, (path, method)
            for status in errors:
                content = described["responses"][status]["content"]["application/json"]
                schema = resolved(document, content["schema"])
                assert set(schema["required"]) == {"detail", "code"}, (path, method, status)


def test_the_document_names_no_route_of_the_pages(document):
    assert all(path.startswith("/api/v1/") or path == "/healthz" for path in document["paths"])


def test_swagger_needs_no_other_host(reader):
    page = reader.client.get("/api/docs").text
    assert "/api/v1/openapi.json" in page
    assert "http" not in page.replace("http-equiv", "")
    for address in ("/static/swagger/swagger-ui.css", "/static/swagger/swagger-ui-bundle.js"):
        assert address in page
        answer = reader.client.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-cache"
        same = reader.client.get(address, headers={"if-none-match": answer.headers["etag"]})
        assert same.status_code == 304


def test_fastapis_own_addresses_are_off(reader):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert reader.client.get(path).status_code == 404
