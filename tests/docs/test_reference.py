"""The reference pages say what the code says."""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from finops_pipeline.settings import Settings, variable_of

GENERATOR = Path(__file__).parents[2] / "docs" / "reference" / "generate.py"


@pytest.fixture
def generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generator, writing into a folder of its own."""
    spec = importlib.util.spec_from_file_location("generate_reference", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    return module


def test_check_fails_until_the_pages_are_written(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check"]) == 1
    assert not list(tmp_path.iterdir())
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0

    page = tmp_path / "settings.md"
    page.write_text(page.read_text(encoding="utf-8") + "by hand\n", encoding="utf-8")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "docs/reference/settings.md is out of date."


def test_every_setting_is_described_alike_on_every_machine(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = generate.settings_page()
    assert all(f"| `{variable_of(field)}` |" in page for field in Settings.model_fields)
    assert str(Path.home()) not in page

    monkeypatch.setenv("FINOPS_SETTLE_DAYS", "17")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("COLUMNS", "40")
    assert generate.settings_page() == page


def test_every_command_is_described_in_full(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = generate.command_line_page()
    assert "## `finops query`" in page
    assert "### `finops costs daily`" in page
    assert "..." not in page.partition("**Commands**")[2].partition("##")[0]

    monkeypatch.setenv("COLUMNS", "40")
    assert generate.command_line_page() == page


def test_tables_are_read_from_the_models_beside_them(generate: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "facts"
    folder.mkdir()
    (folder / "_facts.yml").write_text(
        textwrap.dedent("""
            models:
              - name: fct_b
                description: >
                  Reported cost per
                  day.
                columns:
                  - name: cost
                    data_type: decimal(38, 18)
                    description: Sum | total.
                    constraints: [{type: not_null}]
                  - {name: note, data_type: varchar}
              - name: dim_a
                description: A.
                columns: []
        """),
        encoding="utf-8",
    )
    page = generate.marts_page(tmp_path)
    assert page.index("## `dim_a`") < page.index("## `fct_b`")
    assert "\nReported cost per day.\n" in page
    assert r"| `cost` | `DECIMAL(38, 18)` | Sum \| total. Never null. |" in page
    assert "| `note` | `VARCHAR` |  |" in page


def test_an_unknown_option_is_refused(generate: ModuleType) -> None:
    assert generate.main(["--chek"]) == 2
