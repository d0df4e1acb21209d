"""Every route of a real server, over sockets; and requests that are wrong, hostile or broken off."""

from __future__ import annotations

import io
import json
import socket
import struct
import zipfile
import zlib
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
import pytest
from tests.cli.service.running import TOKEN
from tests.waiting import wait_until

from cleanplate.cli import main

NOT_GUESSABLE = "x" * 32


def files(small, **names):
    return {field: (name, (small / name).read_bytes()) for field, name in names.items()}


def decode(answer):
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)


def error_of(answer, status):
    assert answer.status_code == status, answer.text
    found = answer.json()["error"]
    assert found["message"].endswith(".")
    assert "/" not in found["message"].replace("multipart/form-data", "")
    return found["message"]


def uploads_left(shared):
    return [path for kind in ("pictures", "jobs", "plates") for path in (shared.folder / kind).iterdir()]


def finish(client, job):
    def ended():
        return client.get(f"/v1/jobs/{job['id']}").json()["state"] in ("done", "failed", "cancelled")

    wait_until(ended, "end of the job")
    return client.get(f"/v1/jobs/{job['id']}").json()


def test_a_picture_comes_back_cut_out(small, client):
    answer = client.post("/v1/image", files=files(small, source="photo.png", plate="plate.png"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert 'filename="photo.cleanplate.png"' in answer.headers["content-disposition"]
    assert isinstance(json.loads(answer.headers["cleanplate-notes"]), list)
    alpha = decode(answer)[..., 3]
    assert alpha.shape == (72, 128)
    assert alpha[40, 65] > 200
    assert alpha[5, 5] < 20


def test_the_options_are_those_of_the_command_line(small, client, tmp_path):
    given = {
        "save": ["alpha", "composite"],
        "background": "#00ff00",
        "matte-choke": "1.5",
        "no-align": "true",
    }
    answer = client.post("/v1/image", params=given, files=files(small, source="photo.png", plate="plate.png"))
    assert answer.status_code == 200, answer.text
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert sorted(packed.namelist()) == ["photo.alpha.png", "photo.composite.png"]
    out = tmp_path / "out.png"
    words = ["--save", "alpha", "composite", "--background", "#00ff00", "--matte-choke", "1.5", "--no-align"]
    assert (
        main(["image", str(small / "photo.png"), "--plate", str(small / "plate.png"), "-o", str(out), *words])
        == 0
    )
    for name, expected in (("alpha", out), ("composite", tmp_path / "out.composite.png")):
        assert packed.read(f"photo.{name}.png") == expected.read_bytes()


def test_every_option_of_the_command_line_is_a_parameter(client):
    from cleanplate.cli.option_arguments import flags_by_column

    schema = client.get("/openapi.json").json()
    own = {"output", "report", "overwrite", "resume", "split-seconds"}
    expected = {column for column in flags_by_column() if column not in own}
    found = {p["name"] for p in schema["paths"]["/v1/videos"]["post"]["parameters"]}
    assert found == expected | {"format"}
    body = schema["paths"]["/v1/image"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert body["schema"]["required"] == ["source"]


def test_a_plate_is_checked_stored_used_and_removed(small, client, other, shared):
    given = files(small, plate="plate.png", source="photo.png")
    answer = client.post("/v1/plates", files=given)
    assert answer.status_code == 201, answer.text
    plate = answer.json()
    assert (plate["height"], plate["width"], plate["name"]) == (72, 128, "plate.png")
    assert plate["diagnosis"]["verdict"] in ("usable", "usable with care", "not usable")
    assert len(plate["id"]) == 32
    assert [path.name for path in (shared.folder / "plates" / plate["id"]).iterdir()] != []
    one = client.post("/v1/image", params={"plate": plate["id"]}, files=files(small, source="photo.png"))
    two = client.post("/v1/image", files=files(small, source="photo.png", plate="plate.png"))
    assert one.content == two.content
    assert client.get(f"/v1/plates/{plate['id']}").json() == plate
    # The plate of another token does not exist.
    assert "no plate" in error_of(other.get(f"/v1/plates/{plate['id']}"), 404)
    assert "no plate" in error_of(other.delete(f"/v1/plates/{plate['id']}"), 404)
    foreign = other.post("/v1/image", params={"plate": plate["id"]}, files=files(small, source="photo.png"))
    assert "no plate" in error_of(foreign, 404)
    assert client.delete(f"/v1/plates/{plate['id']}").status_code == 204
    assert client.get(f"/v1/plates/{plate['id']}").status_code == 404
    assert not (shared.folder / "plates" / plate["id"]).exists()


def test_the_number_of_plates_is_limited(small, other):
    made = [other.post("/v1/plates", files=files(small, plate="plate.png")).json()["id"] for _ in range(5)]
    message = error_of(other.post("/v1/plates", files=files(small, plate="plate.png")), 409)
    assert message == "5 plates of this client are stored."
    for name in made:
        assert other.delete(f"/v1/plates/{name}").status_code == 204


def test_a_clip_becomes_a_job(small, client, other):
    given = {"save": ["cutout", "alpha"], "format": "mkv"}
    answer = client.post(
        "/v1/videos", params=given, files=files(small, source="short.mp4", plate="plate.png")
    )
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["source"], job["error"]) == ("short.mp4", None)
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = "".join(stream.iter_text())
    events = [
        dict(line.split(": ", 1) for line in event.splitlines()) for event in text.strip().split("\n\n")
    ]
    assert events[-1]["event"] == "done"
    assert {event["event"] for event in events} <= {"queued", "running", "done"}
    ended = json.loads(events[-1]["data"])
    assert ended == client.get(f"/v1/jobs/{job['id']}").json()
    assert [result["name"] for result in ended["results"]] == ["short.cleanplate.mkv", "short.alpha.mkv"]
    assert 0 < ended["report"]["mean_confidence"] <= 1
    cutout = client.get(ended["results"][0]["url"])
    assert 'filename="short.cleanplate.mkv"' in cutout.headers["content-disposition"]
    with av.open(io.BytesIO(cutout.content)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 12
    part = client.get(ended["results"][1]["url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"\x1a\x45\xdf\xa3")
    assert len(client.get(f"/v1/jobs/{job['id']}/report").json()["frames"]) == 12
    for path in ("", "/events", "/results/cutout", "/report"):
        error_of(other.get(f"/v1/jobs/{job['id']}{path}"), 404)
    error_of(client.get(f"/v1/jobs/{job['id']}/results/..%2Fsource.mkv"), 404)
    error_of(client.get(f"/v1/jobs/{job['id']}/results/source"), 404)
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    error_of(client.get(f"/v1/jobs/{job['id']}"), 404)


def test_a_running_and_a_waiting_job_are_cancelled(small, client, shared):
    given = files(small, source="long.mp4", plate="plate.png")
    first, second = (client.post("/v1/videos", files=given).json() for _ in range(2))

    def is_keying():
        return client.get(f"/v1/jobs/{first['id']}").json()["progress"]

    wait_until(is_keying, "progress of the first job")
    assert client.get(f"/v1/jobs/{second['id']}").json()["state"] == "queued"
    for job in (second, first):
        assert client.delete(f"/v1/jobs/{job['id']}").status_code == 202
        assert finish(client, job)["state"] == "cancelled"
        folder = shared.folder / "jobs" / job["id"]
        wait_until(lambda folder=folder: len(list(folder.iterdir())) == 1, "the files' removal")
        assert [path.name for path in folder.iterdir()] == ["record.json"]


@pytest.mark.slow
def test_the_error_of_a_failed_job_has_no_path(small, client, shared):
    given = files(small, source="short.mp4", plate="plate.png")
    job = client.post("/v1/videos", params={"format": "mp4", "save": "cutout"}, files=given).json()
    ended = finish(client, job)
    assert ended["state"] == "failed"
    assert "alpha" in ended["error"]["message"]
    assert ended["results"] == []
    text = json.dumps(ended)
    assert str(shared.folder) not in text
    assert "--" not in ended["error"]["hint"]


def bomb(width, height):
    """A PNG of a hundred kilobytes that announces so many pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000_000), 9)[:100_000]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("field", ["source", "plate", "background"])
def test_a_decompression_bomb_is_refused_by_its_header(field, small, client):
    given = files(small, source="photo.png", plate="plate.png") | {field: ("bomb.png", bomb(60_000, 60_000))}
    answer = client.post("/v1/image", files=given)
    assert error_of(answer, 413) == "bomb.png has 60000x60000 pixels; the limit is 1 million."
    if field == "plate":
        assert client.post("/v1/plates", files={"plate": given["plate"]}).status_code == 413


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ({"source": ("a.png", b"garbage")}, 422, "a.png is not a picture of a known format."),
        ({"source": ("a.png", b"\x89PNG\r\n\x1a\n" + b"garbage" * 9)}, 422, "a.png"),
        ({"source": ("a.png", b"")}, 422, "a.png is empty."),
        ({"source": ("../../etc/passwd", b"x")}, 422, "passwd is not a picture"),
        ({"plate": ("a.png", b"x")}, 422, "The file source is missing."),
        ({"sauce": ("a.png", b"x")}, 422, "The field 'sauce' is unknown."),
        ({"source": (None, b"x")}, 422, "The field 'source' is not a file."),
    ],
)
def test_an_error_names_the_file_of_the_client(given, status, message, client, shared):
    before = uploads_left(shared)
    assert message in error_of(client.post("/v1/image", files=given), status)
    assert uploads_left(shared) == before


def test_a_file_that_is_no_clip_is_refused_at_once(client):
    assert "a.mov" in error_of(client.post("/v1/videos", files={"source": ("a.mov", b"garbage" * 99)}), 422)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hint": "/etc/passwd"}, "Expected hint as a file"),
        ({"keep": "/etc/passwd"}, "Expected keep as rect:... or polygon:..."),
        ({"background": "/etc/hostname"}, "is not a colour."),
        ({"background": "http://example.org/a.png"}, "is not a colour."),
        ({"model": "/etc/passwd"}, "Expected the model as one of"),
        ({"runtime": "/etc/passwd"}, "Expected the runtime as one of"),
        ({"scale": "7"}, "Expected a scale from 0.125"),
        ({"save": "everything"}, "The parameter"),
        ({"format": "../x"}, "The parameter format is wrong"),
        ({"output": "/tmp/x.png"}, "There is no parameter output."),
        ({"report": "/tmp/x.json"}, "There is no parameter report."),
        ({"overwrite": "true"}, "There is no parameter overwrite."),
        ({"matte-choke": "many"}, "The parameter matte-choke is wrong"),
        ({"plate": "auto"}, "A plate can be built from a clip"),
        ({"matte-choke": "nan"}, "Expected matte choke"),
    ],
)
def test_a_wrong_option_is_refused(given, message, client, small):
    answer = client.post("/v1/image", params=given, files=files(small, source="photo.png", plate="plate.png"))
    assert answer.status_code == 422, answer.text
    assert message in answer.json()["error"]["message"]


def test_unknown_plates_and_jobs_are_404(client, small):
    given = files(small, source="photo.png")
    for name in (NOT_GUESSABLE, "../jobs", "%2e%2e%2f", "."):
        error_of(client.post("/v1/image", params={"plate": name}, files=given), 404)
        error_of(client.get(f"/v1/jobs/{name}/report"), 404)
    twice = {"params": {"plate": "none"}, "files": files(small, source="photo.png", plate="plate.png")}
    assert "came twice" in error_of(client.post("/v1/image", **twice), 422)


def send(shared, head, body=b"", *, then=None):
    """Send raw bytes; returns the answer's first line, or nothing if the server has closed."""
    host, port = urlsplit(shared.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=300) as connection:
        lines = [*head, f"Host: {host}:{port}", f"Authorization: Bearer {TOKEN}", "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)
        if then is not None:
            then(connection)
            return b""
        return connection.recv(65536).split(b"\r\n")[0]


MULTIPART = "Content-Type: multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="source"; filename="a.png"\r\n\r\n'


def test_a_disconnected_client_leaves_no_file(shared, client):
    before = uploads_left(shared)

    def check(_):
        wait_until(lambda: len(uploads_left(shared)) > len(before), "an upload")

    send(
        shared,
        ["POST /v1/image HTTP/1.1", MULTIPART, "Content-Length: 2000000"],
        PART + bytes(1000),
        then=check,
    )
    wait_until(lambda: uploads_left(shared) == before, "removal of the upload")
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (["Content-Length: 9000000"], b"", b"413"),
        (["Content-Length: -5"], b"", b"400"),
        (["Content-Length: many"], b"", b"400"),
        (["Content-Length: 20"], PART, b"400"),  # less than is sent: the rest is no request
        (["Content-Length: 3"], b"abc", b"400"),
        (["Transfer-Encoding: chunked"], b"zz\r\n", b"400"),
        (["Transfer-Encoding: chunked"], b"5\r\n--b--\r\n0\r\n\r\n", b"422"),
    ],
)
def test_wrong_content_lengths_are_refused(head, body, status, shared):
    line = send(shared, ["POST /v1/image HTTP/1.1", MULTIPART, *head], body)
    assert line.split(b" ")[1] == status


def test_a_body_without_a_length_is_limited(client):
    def endless():
        yield PART
        for _ in range(100):
            yield bytes(65536)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/image", content=endless(), headers=headers)
    assert error_of(answer, 413) == "The request is larger than 3 MB."


def test_bodies_without_a_form_are_refused(client):
    error_of(client.post("/v1/image", content=b"{}", headers={"Content-Type": "application/json"}), 415)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert "boundary" in error_of(client.post("/v1/image", content=PART + b"cut off", headers=headers), 400)
    error_of(client.post("/v1/image", content=b"nothing of the kind", headers=headers), 400)
    wide = b"--b\r\nX: " + bytes(200_000)
    assert client.post("/v1/image", content=wide, headers=headers).status_code == 400


def test_requests_need_the_token(shared):
    import httpx

    for header in ({}, {"Authorization": "Bearer wrong-token-of-16"}, {"Authorization": f"Basic {TOKEN}"}):
        for method, path in (
            ("GET", "/metrics"),
            ("POST", "/v1/image"),
            ("GET", f"/v1/jobs/{NOT_GUESSABLE}"),
        ):
            answer = httpx.request(method, shared.url + path, headers=header)
            error_of(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{shared.url}/healthz").json() == {"status": "ok"}


def test_metrics_have_counts_and_times(client, small):
    assert (
        client.post("/v1/image", files=files(small, source="photo.png", plate="plate.png")).status_code == 200
    )
    text = client.get("/metrics").text
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(figures['cleanplate_requests_total{route="/v1/image",status="200"}']) >= 1
    assert float(figures['cleanplate_work_seconds_count{kind="picture",state="done"}']) >= 1
    assert figures['cleanplate_tasks{kind="clip",state="waiting"}'] == "0.0"
    assert TOKEN not in text


def test_only_failed_requests_are_logged(shared, client):
    error_of(client.get("/nowhere"), 404)
    assert "Traceback" not in shared.log
