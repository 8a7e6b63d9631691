"""The recipe for Prometheus."""

from examples.prometheus import Prometheus

from gatepost.testing import play


def test_each_worker_writes_a_file(tmp_path):
    plugin = Prometheus(folder=str(tmp_path))
    play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<>
        S: 250
        C: RCPT TO:<a@elsewhere.example>
        S: 550
        C: RCPT
        S: 5*
        T: 20s
        """,
        [plugin],
    )
    [path] = tmp_path.iterdir()
    assert path.name == f"gatepost-{plugin.server.worker}.prom"
    lines = path.read_text().splitlines()
    label = f'worker="{plugin.server.worker}"'
    name = "gatepost_plugin_prometheus_replies"
    assert f'{name}{{{label},code="550",hook="rcpt"}} 1.0' in lines
    assert f'gatepost_plugin_prometheus_faults{{{label},code="501"}} 1.0' in lines
