import pytest

from dbplanmon_pipeline_tests.settings.support import complaints, load


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('trusted_proxies: ["proxy.lan"]', "write an address such as 10.0.0.5"),
        ('trusted_proxies: ["10.0.0.0/99"]', "write an address such as 10.0.0.5"),
        ('trusted_hosts: ["https://status.lan"]', "write a name such as status.example.net"),
        ('trusted_hosts: ["status.lan:80"]', "write a name such as status.example.net"),
        ('trusted_hosts: ["*"]', "write a name such as status.example.net"),
        ('user_header: "X User"', "write the name of a header"),
        ("public_url: ftp://x", "write https://HOST"),
        ("public_url: https://u:p@x", "write https://HOST"),
    ],
)
def test_what_would_open_too_much_is_refused(tmp_path, line, told):
    (complaint,) = complaints(tmp_path, f"environment: test\nweb:\n  {line}\n")
    assert told in complaint


def test_addresses_networks_and_names_are_taken(tmp_path):
    text = """\
    environment: test
    web:
      trusted_proxies: ["10.0.0.5", "10.1.0.0/16", "fd00::/8"]
      trusted_hosts: [status.example.net, "10.0.0.5"]
      user_header: X-Forwarded-User
      operators: [olga]
    """
    assert load(tmp_path, text).web.operators == ("olga",)
