"""Every Python block of the README runs, with its Hub ids standing for folders made here; every command exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset

from .training import tiny

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The base model and the traces that the README names by Hub id."""
    place = tmp_path_factory.mktemp("readme")
    tiny.student().save_pretrained(place / "base")
    tiny.tokenizer().save_pretrained(place / "base")
    (place / "traces" / "sft").mkdir(parents=True)
    Dataset.from_list([dict(row) for row in tiny.rows(8)]).to_parquet(place / "traces" / "sft" / "train.parquet")
    (place / "traces" / "README.md").write_text(
        "---\nconfigs:\n- config_name: sft\n  data_files:\n  - split: train\n    path: sft/train.parquet\n---\n"
    )
    return place


def run(code: str, folder: Path) -> None:
    standing = {"Qwen/Qwen2.5-Coder-0.5B": "base", "me/traces": "traces", "me/student": "student"}
    for hub_id, name in standing.items():
        code = code.replace(f'"{hub_id}"', repr(str(folder / name)))
    # the block itself says nothing of the machine: no GPU here, and the default asks for bf16
    code = code.replace('output_dir="student"', 'output_dir="student", use_cpu=True, bf16=False, max_steps=1')
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_python_blocks_run_in_order(folder):
    found = blocks("python")
    assert len(found) == 3
    for code in found:
        run(code, folder)


def test_commands_exist():
    from typer.main import get_command

    from hf_structdistill.cli.main import _register, app

    _register()
    commands = get_command(app).commands
    lines = [line.split("#")[0] for block in blocks("bash") for line in block.splitlines()]
    used = [shlex.split(line) for line in lines if line.startswith("structdistill ")]
    assert used
    for _, command, *options in used:
        known = {name for parameter in commands[command].params for name in parameter.opts}
        for option in options:
            passes_through = commands[command].context_settings.get("allow_extra_args")
            if option.startswith("--") and not passes_through:
                assert option in known, f"{command} {option}"


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("http"):
            assert (README.parent / target).exists(), target
