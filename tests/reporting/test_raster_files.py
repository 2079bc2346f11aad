from genwright.reporting.png import write


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "new" / "a.png"
    assert write(path, b"one") == path and write(path, b"two").read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
