"""Who is let in: names of the loopback, known names, those with the token; and what a prefix does."""

import pytest

from livegrad.dashboard.access import Gate, is_loopback


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def ask(gate, path="/", host="127.0.0.1:8050", query="", cookie="", **more):
    said = {}

    def start(status, headers, *_):
        said.update(status=status, headers=dict(headers))

    environ = {"PATH_INFO": path, "HTTP_HOST": host, "QUERY_STRING": query, "HTTP_COOKIE": cookie, **more}
    said["body"] = b"".join(gate(environ, start)).decode()
    return said


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "a.localhost", "::1", "[::1]"])
def test_names_of_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "::", "127.1"]
)
def test_names_of_other_machines(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["localhost:8050", "127.0.0.1", "[::1]:8050", "[::1]", "LOCALHOST"])
def test_the_loopback_is_let_in(host):
    assert ask(Gate(app, (), None, "/"), host=host)["status"] == "200 OK"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8050", "", "localhost.evil.example:8050", "127.0.0.1.nip.io"]
)
def test_a_name_that_was_made_to_point_here_is_not(host):
    said = ask(Gate(app, (), None, "/"), host=host)
    assert said["status"].startswith("403")
    assert "--allow-host" in said["body"]


def test_a_further_name_is_answered_to_when_asked_for():
    assert ask(Gate(app, ("gpu1",), None, "/"), host="GPU1:80")["status"] == "200 OK"


def test_the_token_is_asked_for_once_and_never_shown_again():
    gate = Gate(app, (), "secret", "/lab")
    for query in ("", "token=", "token=wrong", "token=secre"):
        assert ask(gate, query=query, host="gpu1")["status"].startswith("401")
    said = ask(gate, path="/run/x", query="token=secret&layer=head", host="gpu1")
    assert said["status"].startswith("303")
    assert said["headers"]["Location"] == "/lab/run/x?layer=head"
    assert "HttpOnly" in said["headers"]["Set-Cookie"] and "SameSite=Strict" in said["headers"]["Set-Cookie"]
    cookie = said["headers"]["Set-Cookie"].split(";")[0]
    assert ask(gate, cookie=cookie, host="gpu1")["status"] == "200 OK"
    assert ask(gate, cookie="livegrad-token=wrong", host="gpu1")["status"].startswith("401")


def test_a_token_leads_to_no_other_site():
    said = ask(Gate(app, (), "secret", "/"), path="//evil.example/x", query="token=secret")
    assert said["headers"]["Location"] == "/evil.example/x"


@pytest.mark.parametrize(
    ("prefix", "path", "seen"),
    [
        ("/", "/a", "/a"),
        ("/lab", "/lab/a", "/a"),
        ("/lab", "/a", "/a"),
        ("/lab", "/lab", "/"),
        ("/lab", "/label", "/label"),
    ],
)
def test_a_prefix_may_be_passed_on_or_stripped_by_the_proxy(prefix, path, seen):
    assert ask(Gate(app, (), None, prefix), path=path)["body"] == seen


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", "403"), ("same-site", "403"), ("same-origin", "200")]
)
def test_a_page_of_another_site_writes_nothing(site, status):
    said = ask(Gate(app, (), None, "/"), REQUEST_METHOD="POST", HTTP_SEC_FETCH_SITE=site)
    assert said["status"].startswith(status)
    # A link from elsewhere may be followed.
    assert ask(Gate(app, (), None, "/"), HTTP_SEC_FETCH_SITE=site)["status"] == "200 OK"
