"""The generated pages of docs/ are those that the declarations and docs/results give now."""
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(os.environ["ATTEND_SOURCE"])


def test_generated_pages_are_up_to_date(tmp_path):
    subprocess.run([SOURCE / "tools/docs.sh", tmp_path], check=True)
    pages = sorted(tmp_path.iterdir())
    assert pages
    stale = [page.name for page in pages if (SOURCE / "docs" / page.name).read_text() != page.read_text()]
    assert not stale, "run `make docs` and commit what it writes"
