from pathlib import Path

from skspike.datasets import get_data_home


def test_the_folder_is_given_by_name_by_variable_or_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("SKSPIKE_DATA", raising=False)
    assert get_data_home() == str(tmp_path / "home" / "skspike_data")
    monkeypatch.setenv("SKSPIKE_DATA", "~/variable")
    assert get_data_home() == str(tmp_path / "home" / "variable")
    assert get_data_home(tmp_path / "given") == str(tmp_path / "given")
    assert Path(get_data_home("~/a/b")).is_dir()
    assert get_data_home("~/a/b") == str(tmp_path / "home" / "a" / "b")
