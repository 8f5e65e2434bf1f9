"""What the server answers to whoever asks: nothing outside the runs, and the same behind a prefix."""

import json
import shutil
from urllib.parse import urljoin

import pytest
from tests.dashboard.conftest import SICK
from tests.treat.invented_trial import conducted, sick_until_cured, trial_in
from werkzeug.test import Client

import livegrad.treat.trial.watching as watching
from livegrad.dashboard.access import Gate
from livegrad.dashboard.app import build
from livegrad.dashboard.server import shelf_of
from livegrad.dashboard.shelf import Shelf
from livegrad.errors import RunError


def client_of(shelf, prefix="/"):
    return Client(Gate(build(shelf, prefix), (), None, prefix))


@pytest.fixture(scope="module")
def client(runs):
    return client_of(Shelf(runs))


@pytest.fixture(scope="module")
def treated(tmp_path_factory):
    """A folder with one treatment, its winner's diff in its page."""
    from livegrad.treat.trial.conclusion import conclude
    from livegrad.view.treatment_page import write_treatment

    base = tmp_path_factory.mktemp("treated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "_POLL_SECONDS", 0.0)
        trial = trial_in(base / "treat-train")
        conducted(trial, sick_until_cured(), "init", "skip")
    diff = "--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n x = 1\n+initialize(model)\n"
    document = conclude(trial, {"diff": diff, "edits": [{"file": "train.py"}], "instructions": []})
    write_treatment(document.to_dict(), trial.folder / "report.html")
    return base


def page(client, path, search="", prefix=""):
    """What the page's own request for an address is answered, as text."""
    asked = {
        "output": "page.children",
        "outputs": {"id": "page", "property": "children"},
        "inputs": [{"id": "url", "property": "pathname", "value": path}],
        "changedPropIds": ["url.pathname"],
        "state": [{"id": "url", "property": "search", "value": search}],
    }
    answer = client.post(f"{prefix}/_dash-update-component", json=asked)
    assert answer.status_code == 200
    return json.dumps(json.loads(answer.get_data(as_text=True)), ensure_ascii=False)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/..%2fapp.py",
        "/assets/%2e%2e/app.py",
        "/assets//etc/passwd",
        "/assets/..\\app.py",
        "/guide/..%2f..%2fapp.py",
        "/guide/../../etc/passwd",
        "/guide/%2fetc%2fpasswd",
        "/file/..%2frun.json",
        "/livegrad-runs/run.json",
        f"/run/{SICK}/run.json",
        f"/{SICK}/rank0.arrows",
        "/static/x",
        "//etc/passwd",
    ],
)
def test_no_file_is_served_but_the_applications_own(client, path):
    answer = client.get(path, buffered=True)
    said = answer.get_data(as_text=True)
    assert answer.status_code == 404 or "react-entry-point" in said
    assert "root:" not in said and "import" not in said.replace("important", "")


@pytest.mark.parametrize(
    "path",
    ["/run/..%2f..%2fetc", "/run/../..", "/run//etc", "/run/%2fetc", "/run/%00", "/run/", "/treatment/..",
     "/treatment/%2e%2e", f"/treatment/{SICK}", f"/run/{SICK}%2f..", "/run/%ed%a0%80"],
)  # fmt: skip
def test_an_address_leads_to_nothing_else(client, path):
    assert "Nothing to show" in page(client, path)


def test_the_guide_begins_at_its_folder_too(client):
    answer = client.get("/guide/")
    assert answer.status_code == 302 and urljoin("/guide/", answer.headers["Location"]) == "/guide/index.html"
    assert "field guide" in client.get("/guide/index.html").get_data(as_text=True)


def test_pages_say_what_may_run_in_them(client):
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert (
        "default-src 'self'" in policy
        and "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_everything_is_asked_for_below_the_prefix(runs):
    client = client_of(Shelf(runs), "/lab/user/proxy/8050/")
    index = client.get("/lab/user/proxy/8050/").get_data(as_text=True)
    links = [part.split('"')[0] for part in index.replace('src="', 'href="').split('href="')[1:]]
    assert len(links) > 5
    for link in links:
        assert link.startswith("/lab/user/proxy/8050/")
        # A proxy that passes the prefix on, and one that strips it.
        for path in (link, link.removeprefix("/lab/user/proxy/8050")):
            assert client.get(path, buffered=True).status_code == 200
    said = page(client, f"/lab/user/proxy/8050/run/{SICK}", prefix="/lab/user/proxy/8050")
    hrefs = [part.split('"')[0] for part in said.split('"href": "')[1:]]
    assert hrefs and all(href.startswith("/lab/user/proxy/8050/") for href in hrefs)


def test_a_treatment_shows_control_and_arms_with_links_to_every_run(treated):
    from livegrad.dashboard.treatment_page import filled
    from livegrad.dashboard.trials import treatment_document

    shelf = Shelf(treated)
    document = treatment_document(treated / "treat-train")
    assert document["diff"].endswith("+initialize(model)\n")
    _, pace, head, rest, losses, audibility, gradient = filled(shelf, "treat-train", document, "1", "/lab/")
    told = json.dumps([head.to_plotly_json(), rest.to_plotly_json()], default=lambda c: c.to_plotly_json())
    assert "LG101" in told and "gone" in told and "+initialize(model)" in told
    served = [entry.id for entry in shelf.entries()]
    assert len(served) == 9 and all(f"/lab/run/{id}" in told for id in served)
    assert "95 %" in told and "per step" in told
    names = [trace.get("name") for trace in losses["data"]]
    assert "nothing done" in names and document["winner"]["name"] in names
    # A band around a curve: the lowest and the highest of the seeds.
    assert sum("fill" in trace for trace in losses["data"]) == 2
    assert len(audibility["data"]) == 2 and len(gradient["data"]) == 2 and pace > 2000


def test_one_treatment_alone_is_served_when_one_is_named(treated, runs):
    shutil.copytree(runs / SICK, treated / SICK)
    shelf = shelf_of(treated / "treat-train")
    assert {entry.trial for entry in shelf.entries()} == {"treat-train"}
    assert "treatment-tick" in page(client_of(shelf), "/")
    with pytest.raises(RunError):
        shelf.open(SICK)


def test_a_folder_of_nothing_says_how_to_record(tmp_path):
    assert "livegrad run train.py" in page(client_of(Shelf(tmp_path)), "/")


def test_a_hostile_folder_is_listed_and_its_treatment_opens(hostile):
    from livegrad.dashboard.treatment_page import filled
    from livegrad.dashboard.trials import treatment_document

    shelf = Shelf(hostile)
    assert "unreadable" in [entry.status for entry in shelf.entries()]
    name = shelf.treatments()[0]
    document = treatment_document(hostile / name)
    assert "root:" not in json.dumps(document)
    told = json.dumps(filled(shelf, name, document, "1", "/"), default=lambda c: c.to_plotly_json())
    assert "\\u202e" not in told.replace("\\\\u202e", "") and "\\u001b" not in told
