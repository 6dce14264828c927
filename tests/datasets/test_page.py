import pytest

from skspike.datasets._page import Page

URL = "https://example.org/a/file?id=1"


def read(text):
    return Page(text.encode(), URL)


def test_the_fields_of_the_form_of_a_download_make_the_address():
    page = read(
        "<title>Large &amp; slow</title><input name=before value=1>"
        "<form action=/other><input name=other value=2></form>"
        "<form id=download-form action=../sure method=get>"
        "<input type=submit value=Yes><input name=id value='a b&amp;c'><INPUT name=empty></form>"
        "<input name=after value=3>"
    )
    assert page.title == "Large & slow"
    assert page.address() == "https://example.org/sure?id=a+b%26c&empty="


def test_an_address_may_be_of_another_server():
    page = read("<form id=download-form action=http://example.com/x></form>")
    assert page.address() == "http://example.com/x?"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<form id=download-form><input name=id value=1></form>",
        "<form action=/download><input name=id value=1></form>",
        "<form id=download-form action=file:///etc/hosts></form>",
        "<form id=download-form action=javascript:x></form>",
        "<form id=download-form action=http://[x></form>",
        "<form id=download-form action",
        "<![other[x]]>",
        "\x00<<form<!<![CDATA[",
    ],
)
def test_no_form_of_a_download_leads_nowhere(text):
    assert read(text).address() is None


def test_bytes_that_are_no_text_are_passed_over():
    assert Page(b"<title>\xff</title>", URL).title == "\N{REPLACEMENT CHARACTER}"
