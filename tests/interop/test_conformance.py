"""The standard's node tests: as many pass as ever did, and none is wrong."""
import collections

import pytest

pytest.importorskip("numpy", reason="needs numpy")
pytest.importorskip("onnx", reason="needs the onnx package")
import conformance  # noqa: E402

# Of the 1884 cases of onnx 1.23; raised whenever more pass.
REQUIRED = 1866
CASES = 1884


@pytest.fixture(scope="module")
def cases():
    found = conformance.collect_cases()
    if len(found) != CASES:
        pytest.skip(f"this onnx package has {len(found)} cases, the counts here are for {CASES}")
    return found


@pytest.mark.parametrize("plain", [False, True], ids=["fused", "plain"])
def test_node_cases(program, cases, plain):
    outcomes = conformance.run_all(program("fewbit_conformance"), plain, cases)
    counts = collections.Counter(o.kind for o in outcomes)
    report = conformance.summary(outcomes, cases)
    print(report)
    assert counts["wrong"] == 0, report
    assert counts["pass"] >= REQUIRED, report
