"""Every Python block of the README runs as it is, against a Hub on loopback; every command exists."""

import re
import shlex
from pathlib import Path

import pytest

from .hub import conftest

hub, base, traces = conftest.hub, conftest.base, conftest.traces  # fixtures
README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def prepared(hub, base, traces, tmp_path_factory):
    """What the README takes from the Hub, under the names it uses; the base model under a name we may write to."""
    for kind, folder, repo in (("student", base, "me/Qwen2.5-Coder-0.5B"), ("traces", traces, "me/traces")):
        done = hub.publish(kind, folder, "--repo", repo)
        assert done.returncode == 0, done.stderr
    return tmp_path_factory.mktemp("readme")


def test_python_blocks_run_in_order(hub, prepared):
    found = blocks("python")
    assert len(found) == 3
    for code in found:
        code = code.replace("Qwen/Qwen2.5-Coder-0.5B", "me/Qwen2.5-Coder-0.5B")
        # the block itself says nothing of the machine: no GPU here, and the default asks for bf16
        code = code.replace('output_dir="student"', 'output_dir="student", use_cpu=True, bf16=False, max_steps=1')
        hub.python(f"import os\nos.chdir({str(prepared)!r})\n{code}")
    assert "adapter_model.safetensors" in hub.repo("model", "me/student")["files"]


def test_commands_exist():
    from typer.main import get_command

    from hf_structdistill.cli.main import _register, app

    _register()
    commands = get_command(app).commands
    lines = [line.split("#")[0] for block in blocks("bash") for line in block.splitlines()]
    used = [shlex.split(line) for line in lines if line.startswith("structdistill ")]
    assert used
    for _, name, *options in used:
        command = commands[name]
        if hasattr(command, "commands"):  # a group
            command = command.commands[options[0]]
        known = {flag for parameter in command.params for flag in parameter.opts}
        for option in options:
            passes_through = command.context_settings.get("allow_extra_args")
            if option.startswith("--") and not passes_through:
                assert option in known, f"{name} {option}"


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("http"):
            assert (README.parent / target).exists(), target
